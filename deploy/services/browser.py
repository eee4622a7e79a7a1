"""The browser that tests render pages with: one that is installed, else Debian's."""

from __future__ import annotations

from pathlib import Path

from deploy.services.native import install
from deploy.services.record import ServiceUnavailable
from pipeline.browser import find_browser
from pipeline.errors import BrowserMissing
from pipeline.settings import read_settings

PACKAGE = "chromium"


def bring_browser() -> tuple[Path, bool]:
    """The browser's program, and whether it was installed just now.

    Raises:
        ServiceUnavailable: If there is none and none can be installed; the message says what is missing.
    """
    settings = read_settings().browser
    try:
        return find_browser(settings), False
    except BrowserMissing as missing:
        if settings.executable is not None or not install(PACKAGE):
            raise ServiceUnavailable(str(missing)) from missing
    try:
        return find_browser(settings), True
    except BrowserMissing as missing:
        raise ServiceUnavailable(str(missing)) from missing
