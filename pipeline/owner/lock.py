"""One owner per data directory: a lock the kernel gives back however the owner ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from pipeline.errors import DataDirectoryBusy, DataDirectoryUnusable, DiskFull, SitewiseError

FILE = "owner.lock"
LOOKS, PAUSE_SECONDS = 20, 0.05
"""Somebody who only looks holds the lock for microseconds: an owner tries again for a second."""


@dataclass(frozen=True, slots=True)
class OwnerFacts:
    """Who owns a data directory."""

    pid: int
    command: str


class OwnerLock:
    """Holds a data directory for this process until `release`, or until the process ends.

    Raises:
        DataDirectoryBusy: If another process holds it; its pid and command are among the facts.
        DataDirectoryUnusable: If the directory cannot be made or written.
        DiskFull: If no space is left there.
    """

    def __init__(self, data_dir: Path, *, pause: Callable[[float], object] | None = None) -> None:
        self._file = _opened(data_dir)
        wait = pause or threading.Event().wait
        for _ in range(LOOKS):
            if _locked(self._file, fcntl.LOCK_EX, data_dir):
                break
            wait(PAUSE_SECONDS)
        else:
            self._refuse(data_dir)
        try:
            self._file.seek(0)
            self._file.truncate()
            json.dump(asdict(OwnerFacts(pid=os.getpid(), command=command_line())), self._file)
            self._file.flush()
        except OSError as error:
            self.release()
            raise unusable(data_dir, error) from error

    def release(self) -> None:
        """Let another process own the directory."""
        self._file.close()

    def _refuse(self, data_dir: Path) -> None:
        facts = _written(self._file)
        self._file.close()
        if facts is None:
            raise DataDirectoryBusy(directory=data_dir)
        raise DataDirectoryBusy(directory=data_dir, pid=facts.pid, command=facts.command)


def owner_of(data_dir: Path) -> OwnerFacts | None:
    """The process that owns this data directory now, or None."""
    try:
        file = (data_dir / FILE).open("r+")
    except OSError:
        return None
    with file:
        if _locked(file, fcntl.LOCK_SH, data_dir):
            return None
        return _written(file) or OwnerFacts(pid=0, command="unknown")


def unusable(directory: Path, error: OSError) -> SitewiseError:
    """What a failed write in the data directory means to the person who chose it."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return DiskFull(directory=directory)
    return DataDirectoryUnusable(directory=directory, problem=error.strerror or type(error).__name__)


def command_line() -> str:
    """This process's command as a person would recognise it, without what may be private in its arguments."""
    program = Path(sys.argv[0] or "sitewise")
    name = f"python -m {program.parent.name}" if program.name == "__main__.py" else program.name
    first = next((word for word in sys.argv[1:2] if word.isalpha()), "")
    return f"{name} {first}".strip()


def _opened(data_dir: Path) -> IO[str]:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(data_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    except OSError as error:
        raise unusable(data_dir, error) from error


def _locked(file: IO[str], kind: int, data_dir: Path) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise unusable(data_dir, error) from error
    return True


def _written(file: IO[str]) -> OwnerFacts | None:
    """What the holder wrote; None in the moment between its lock and its word."""
    file.seek(0)
    try:
        return OwnerFacts(**json.loads(file.read()))
    except (ValueError, TypeError):
        return None
