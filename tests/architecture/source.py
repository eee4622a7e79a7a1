"""The project's own files, as the architecture tests read them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("pipeline", "spiders", "workers", "deploy", "tests")


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git made the checkout
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    found = [ROOT / name for name in listed] or list(_walk(ROOT))
    return tuple(sorted(path for path in found if path.is_file()))


def modules(*folders: str) -> list[Path]:
    """Every Python module below these top-level folders."""
    return [path for path in files() if path.suffix == ".py" and relative(path).split("/")[0] in folders]


def texts() -> dict[str, str]:
    """Every text file's content by its path in the project."""
    found = {}
    for path in files():
        try:
            found[relative(path)] = path.read_text()
        except UnicodeDecodeError:
            continue
    return found


def relative(path: Path) -> str:
    """A path as the project names it."""
    return path.relative_to(ROOT).as_posix()


def _walk(folder: Path) -> list[Path]:
    """An unpacked archive has no git: everything but hidden folders and build outputs."""
    skipped = {"build", "dist", "__pycache__"}
    return [
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") or part in skipped for part in path.relative_to(folder).parts)
    ]
