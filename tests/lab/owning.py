"""An owner in a process of its own, to be killed by a test: `python -m tests.lab.owning FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.logs import set_up_logging
from pipeline.owner.owner import Owner
from pipeline.owner.told import Told
from tests.lab.embedded import quick_settings
from tests.lab.waiting import eventually

NAMES = {"broker", "crawl", "index", "upkeep"}


def main() -> None:
    """Own, say the children's pids on one line, and wait to be ended."""
    told = Told()
    folder = Path(sys.argv[1])
    settings = quick_settings(folder)
    set_up_logging(settings)
    with Owner(settings, log_dir=folder / "logs") as owner:
        eventually(lambda: owner.pids.keys() == NAMES, what="children")
        sys.stdout.write(json.dumps(owner.pids) + "\n")
        sys.stdout.flush()
        told.wait()
    sys.exit(130)


if __name__ == "__main__":
    main()
