"""What executes a model: one file and one registry entry per backend."""
