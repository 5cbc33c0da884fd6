"""meddeid-data writes clinical notes with gold spans: AGPL-3.0, so it runs as a process of its own, never imported."""
