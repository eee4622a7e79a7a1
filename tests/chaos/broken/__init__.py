"""A parser that dies of some pages: put this folder on PYTHONPATH, and whatever parses runs it."""
