"""Findings: what a report's own figures give away, one file per kind."""
