"""How what is private lies on the disk: for its owner alone, and sealed where a key ring is configured."""
