"""The lock of a data directory."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import DataDirectoryBusy, DataDirectoryUnusable, DiskFull
from pipeline.owner.lock import OwnerLock, owner_of, unusable

HOLD = """
import sys
from pathlib import Path
from pipeline.owner.lock import OwnerLock
sys.argv = ["sitewise", "up"]
lock = OwnerLock(Path({path!r}))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def _other_owner(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", HOLD.format(path=str(path))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


def _no_pause(_: float) -> None:
    """Look again at once."""


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    """The refusal names the process and the command that hold the directory."""
    with _other_owner(tmp_path) as other, pytest.raises(DataDirectoryBusy) as refusal:
        OwnerLock(tmp_path, pause=_no_pause)

    assert refusal.value.facts == {"directory": tmp_path, "pid": other.pid, "command": "sitewise up"}


def test_an_owner_is_found_by_others(tmp_path: Path) -> None:
    """A second command learns who owns the directory without taking it."""
    with _other_owner(tmp_path) as other:
        found = owner_of(tmp_path)

        assert found is not None
        assert (found.pid, found.command) == (other.pid, "sitewise up")


def test_looking_does_not_own(tmp_path: Path) -> None:
    """A directory whose owner let go has none, and asking leaves it so."""
    OwnerLock(tmp_path).release()

    assert owner_of(tmp_path) is None
    assert owner_of(tmp_path / "never made") is None
    OwnerLock(tmp_path).release()


def test_a_killed_owner_holds_nothing(tmp_path: Path) -> None:
    """The kernel gives the lock back: no stale file has to be removed."""
    with _other_owner(tmp_path) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()

        OwnerLock(tmp_path).release()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DataDirectoryUnusable, match=r"Not a directory|File exists"):
        OwnerLock(tmp_path / "file" / "inside")


def test_a_full_disk_is_not_an_unusable_directory(tmp_path: Path) -> None:
    """The person is told to free space, not to change permissions."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert isinstance(unusable(tmp_path, full), DiskFull)
