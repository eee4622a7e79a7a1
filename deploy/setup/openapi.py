"""Writes `deploy/openapi.json`, the API's document, from the code; `--check` fails when the two differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.api.app import create_app
from pipeline.bootstrap import open_services
from pipeline.settings import Settings

DOCUMENT = Path(__file__).parents[1] / "openapi.json"


def written() -> str:
    """The document as it is served; nothing is opened to make it."""
    app = create_app(open_services(Settings.model_construct()))
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write it, or check it. The exit status: 0 all well, 1 it differs."""
    if "--check" not in sys.argv:
        DOCUMENT.write_text(written())
        return 0
    if DOCUMENT.read_text() == written():
        return 0
    sys.stderr.write("deploy/openapi.json is not what the code says: run `make openapi` and commit it.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
