"""Where the local sockets of an embedded Sitewise are, the same answer in every process."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from pipeline.errors import DataDirectoryUnusable

LONGEST_PATH = 100
"""Bytes of a socket's path; the kernel refuses 108 and more on Linux, 104 on macOS."""

SHORT_ROOT = Path("/tmp")  # noqa: S108 - a fixed place every process finds; what is made in it is private and checked
PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
"""Paths that need no quoting in any client's address."""


def socket_path(data_dir: Path, name: str) -> Path:
    """The socket of this name for this data directory: in `run/` there, or in a short private directory.

    The short one is used when the path is too long for a socket, or would need quoting in an address.
    """
    directory = data_dir.resolve()
    inside = directory / "run" / f"{name}.sock"
    if len(os.fsencode(inside)) <= LONGEST_PATH and PLAIN.fullmatch(str(inside)):
        return inside
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return SHORT_ROOT / f"sitewise-{os.getuid()}-{digest}" / f"{name}.sock"


def make_socket_directory(path: Path) -> None:
    """Make the directory of a socket, for this user alone.

    Raises:
        DataDirectoryUnusable: If it cannot be made, or belongs to somebody else.
    """
    directory = path.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = directory.lstat()
    except OSError as error:
        raise DataDirectoryUnusable(directory=directory, problem=error.strerror) from error
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or stat.S_IMODE(state.st_mode) & 0o077:
        problem = "it must be a directory that only its owner can enter"
        raise DataDirectoryUnusable(directory=directory, problem=problem)
