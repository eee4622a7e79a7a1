"""A model cut over several packages is put together once, and whole."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from zipfile import ZipFile

import pytest
from huggingface_hub import constants

from pipeline.adapters.embedder.in_parts import ModelInParts
from pipeline.adapters.embedder.sources import IN_PARTS, find
from pipeline.errors import ModelNotFound

NAME = "large"
WEIGHTS = bytes(range(256)) * 40
MEMBERS = {
    "large/model.safetensors": WEIGHTS,
    "large/config.json": b"{}",
    "large/1_Pooling/config.json": b"{}",
    "large/desktop.ini": b"of no use",
    "large/../../escaped.json": b"of no good",
    "other/config.json": b"another model",
}
FILES = {"model.safetensors", "config.json", "1_Pooling/config.json"}


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, three of which carry the model, and no connection to a hub."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    with io.BytesIO() as file:
        with ZipFile(file, "w") as archive:
            for name, content in MEMBERS.items():
                archive.writestr(name, content)
        whole = file.getvalue()
    third = len(whole) // 3
    for number, start in enumerate((0, third, 2 * third), 1):
        install(folder, f"large-part-{number}")
        (folder / f"piece.{number}").write_bytes(whole[start : None if number == 3 else start + third])
    model = ModelInParts(
        pieces=tuple((f"large-part-{number}", f"piece.{number}") for number in (1, 2, 3)),
        folder="large",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        extra="large",
    )
    monkeypatch.setitem(IN_PARTS, NAME, model)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def install(folder: Path, distribution: str) -> None:
    """Let a distribution be known."""
    about = folder / f"{distribution.replace('-', '_')}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n", encoding="utf-8")


def uninstall(folder: Path, distribution: str) -> None:
    """Let it be gone."""
    about = folder / f"{distribution.replace('-', '_')}-1.dist-info"
    (about / "METADATA").unlink()
    about.rmdir()


def test_its_pieces_make_the_model(site_packages: Path, tmp_path: Path) -> None:
    """The files of the model, those alone, lie in the cache, and the weights are the ones that were pinned."""
    source = find(NAME, revision=None, cache_dir=tmp_path / "cache")

    source.verify()
    found = {path.relative_to(source.path).as_posix() for path in source.path.rglob("*") if path.is_file()}
    assert found == FILES
    assert source.path.is_relative_to(tmp_path / "cache")
    assert source.revision == hashlib.sha256(WEIGHTS).hexdigest()[:12]
    assert [path.name for path in source.path.parent.iterdir()] == [source.path.name]
    assert not list(tmp_path.rglob("escaped.json"))
    assert site_packages.is_dir()


def test_it_is_unpacked_once(site_packages: Path, tmp_path: Path) -> None:
    """What lies in the cache is taken from there: packages removed since are not missed while one names it."""
    first = find(NAME, revision=None, cache_dir=tmp_path / "cache")
    for number in (1, 2, 3):
        (site_packages / f"piece.{number}").unlink()

    again = find(NAME, revision=None, cache_dir=tmp_path / "cache")

    assert again == first


def test_other_weights_are_refused(site_packages: Path, tmp_path: Path) -> None:
    """Whoever changes a file in the cache has another model."""
    source = find(NAME, revision=None, cache_dir=tmp_path / "cache")
    source.weights.write_bytes(WEIGHTS[::-1])

    with pytest.raises(ModelNotFound) as refused:
        source.verify()

    assert refused.value.facts["expected_sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert site_packages.is_dir()


@pytest.mark.parametrize("what", ["package", "file", "archive"])
def test_what_is_missing_is_named_and_nothing_is_left(what: str, site_packages: Path, tmp_path: Path) -> None:
    """A package, a file of one, or an archive that is none: the error says which, and the cache has no half a model."""
    piece = site_packages / "piece.3"
    if what == "package":
        uninstall(site_packages, "large-part-3")
    elif what == "file":
        piece.unlink()
    else:
        piece.write_bytes(b"no archive" * 30)

    with pytest.raises(ModelNotFound) as refused:
        find(NAME, revision=None, cache_dir=tmp_path / "cache")

    facts = refused.value.facts
    told = {"package": "the package large-part-3", "file": str(piece)}.get(what)
    assert facts.get("missing") == told
    assert ("problem" in facts) == (what == "archive")
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_without_its_packages_it_is_looked_for_elsewhere(site_packages: Path, tmp_path: Path) -> None:
    """A hub may have it under the same name; where that has it neither, the error tells what would bring it."""
    for number in (1, 2, 3):
        uninstall(site_packages, f"large-part-{number}")

    with pytest.raises(ModelNotFound) as refused:
        find(NAME, revision=None, cache_dir=tmp_path / "cache")

    assert refused.value.facts["install"] == "pip install 'sitewise[large]'"
    assert "hub" in str(refused.value.facts["tried"])
