"""The jobs, step by step: ingest, train, generate, forecast, report, demo."""
