"""`python -m pipeline.cli` is `sitewise`."""

from pipeline.cli import main

main()
