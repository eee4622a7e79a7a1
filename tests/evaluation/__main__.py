"""`make evaluate`: every evaluation in turn."""

import sys

from tests.evaluation import retrieval

if __name__ == "__main__":
    sys.exit(retrieval.main())
