"""What care does with a model: one folder a kind of use case, all behind one contract of eight questions."""
