"""Room on the disk of an embedded Sitewise: where it is short, nothing new is begun, and every job says why."""

from __future__ import annotations

import shutil

from pipeline.settings import Settings

LEAST_FREE = 64 * 2**20
"""Bytes below which no work is begun: the vector store refuses to write from there on."""


def shortage(settings: Settings) -> str | None:
    """What is missing, in words; None where there is room, or where nothing is kept on this machine."""
    if settings.database.url is not None and not settings.is_embedded:
        return None
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError:
        return None
    return f"only {free >> 20} MiB are free in {settings.data_dir}" if free < LEAST_FREE else None
