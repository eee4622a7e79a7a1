"""Which browser renders pages: an optional package, and a program of the system."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import BrowserMissing
from pipeline.settings import BrowserSettings

PACKAGE = "scrapy_playwright"
"""What the extra `browser` installs."""

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""Names under which systems install it, first choice first."""


def find_browser(settings: BrowserSettings) -> Path:
    """The program that renders.

    Raises:
        BrowserMissing: If the package or the program is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise BrowserMissing(missing="the package scrapy-playwright")
    if settings.executable is not None:
        if not os.access(settings.executable, os.X_OK):
            raise BrowserMissing(missing=settings.executable)
        return settings.executable
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise BrowserMissing(missing=" or ".join(PROGRAMS))
    return Path(found)
