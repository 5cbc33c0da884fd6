"""What runs in an environment of its own is not imported by the tests' collection of doctests."""

collect_ignore_glob = ["*/run.py", "judges/accuracy.py", "judges/judge.py"]
