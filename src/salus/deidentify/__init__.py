"""What may pass: allow-lists, pseudonyms, date shifts, free text and images, with books of every field."""
