"""What a run leaves: its journal, the report assembled from it, and the folder that keeps both."""
