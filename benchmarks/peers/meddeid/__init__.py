"""meddeid-data writes clinical notes with gold spans: AGPL-3.0, so it is run as a process of its own and never imported."""
