"""The services of this worker process, opened once, in the process that uses them."""

from __future__ import annotations

import os
import socket
import threading
from functools import cache

from pipeline.bootstrap import Services, open_services
from pipeline.settings import Settings, read_settings

_opening = threading.Lock()


@cache
def settings() -> Settings:
    """This process's settings."""
    return read_settings()


def services() -> Services:
    """The services, opened at first use and after the fork: models and stores do not survive one."""
    with _opening:
        return _opened(os.getpid())


def identity() -> str:
    """How this process signs the leases it takes."""
    return f"{socket.gethostname()}:{os.getpid()}"


@cache
def _opened(pid: int) -> Services:
    del pid
    return open_services(settings())
