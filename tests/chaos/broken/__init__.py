"""A parser that dies of some pages: put this folder on PYTHONPATH, and every parsing child runs it."""
