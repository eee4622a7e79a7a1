"""`make evaluate`: every evaluation in turn. The worst exit status counts."""

import sys

from tests.evaluation import extraction, retrieval

if __name__ == "__main__":
    sys.exit(max(retrieval.main(), extraction.main()))
