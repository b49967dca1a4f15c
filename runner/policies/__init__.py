"""Batching policies: how waiting requests become batches, live and in the twin."""
