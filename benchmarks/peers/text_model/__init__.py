"""An environment with spaCy and its models, for the part of the text benchmark that asks a model."""
