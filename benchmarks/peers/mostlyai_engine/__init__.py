"""mostlyai-engine (TabularARGN) with its defaults: early stopping, protection of rare values."""
