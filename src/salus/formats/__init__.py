"""The shapes of outside formats, known to both the ways in and the ways out."""
