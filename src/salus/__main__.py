"""Run Salus as `python -m salus`."""

from salus.cli import main

if __name__ == "__main__":  # worker processes import this module again and must not run the command again
    main()
