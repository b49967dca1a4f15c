"""Meters read energy for one domain each; they know nothing of models."""
