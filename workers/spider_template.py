"""Spiders as copies of a process that has loaded what they need (`spiders.template`)."""

from __future__ import annotations

import atexit
from functools import cache

from pipeline.adapters.process_template import ProcessTemplate
from pipeline.settings import ExtractSettings, read_settings


def template_of(settings: ExtractSettings) -> ProcessTemplate:
    """A template of spiders with such parsers."""
    return ProcessTemplate(
        "spiders.template", f"--parsers={settings.processes}", f"--memory-limit={settings.memory_limit}"
    )


@cache
def template() -> ProcessTemplate:
    """The one of this process, with which it ends."""
    made = template_of(read_settings().extract)
    atexit.register(made.close)
    return made
