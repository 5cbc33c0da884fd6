"""Run Salus as `python -m salus`."""

from salus.cli import main

main()
