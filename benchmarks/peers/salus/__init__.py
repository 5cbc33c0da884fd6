"""Salus itself, in the repository's own environment, by the road any user takes: ingest, train, generate, export."""
