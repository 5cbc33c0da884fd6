"""Pages that a person reads: one offline file each, with templates, one style and drawn pictures."""
