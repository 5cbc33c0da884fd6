"""Salus: reads patients' timelines, learns to generate them, and shows the evidence for every number."""

__version__ = "0.1.0"
