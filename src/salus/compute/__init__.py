"""Where work runs: this machine's processes, or the nodes of a Ray cluster."""
