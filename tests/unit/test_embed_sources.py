"""Where a model is looked for, and what is said when it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.adapters.embedder.sources import PACKAGED, PackagedModel, find, read_header
from pipeline.errors import ModelNotFound

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, without any connection to it."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def keep(cache: Path, repository: str, branch: str = "main") -> Path:
    """A snapshot in the hub's cache, as a download leaves it."""
    folder = cache / repository
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", encoding="utf-8")
    (folder / "refs").mkdir()
    (folder / "refs" / branch).write_text(COMMIT, encoding="utf-8")
    return snapshot


@pytest.mark.parametrize(
    ("package", "missing"),
    [
        (PackagedModel("no-such-distribution", "model.safetensors", "0" * 64), "the package no-such-distribution"),
        (PackagedModel("pytest", "nowhere/model.safetensors", "0" * 64), "nowhere/model.safetensors"),
    ],
    ids=["package", "file"],
)
def test_a_packaged_model_that_is_not_installed_is_named(
    package: PackagedModel, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its package, or with a package that lacks the weights, the error says which is missing."""
    monkeypatch.setitem(PACKAGED, "packaged", package)

    with pytest.raises(ModelNotFound) as refused:
        find("packaged", revision=None, cache_dir=tmp_path)

    assert refused.value.facts["model"] == "packaged"
    assert str(refused.value.facts["missing"]).endswith(missing)


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    """A folder with a tokenizer alone is refused, and the error says what it lacks."""
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")

    with pytest.raises(ModelNotFound) as refused:
        find(str(tmp_path), revision=None, cache_dir=tmp_path / "cache")

    assert refused.value.facts["missing"] == "weights (model.safetensors)"


def test_a_folder_whose_revision_is_given_is_not_hashed(tmp_path: Path) -> None:
    """Who names a revision answers for it."""
    source = find(str(tmp_path), revision="second", cache_dir=tmp_path / "cache")

    assert (source.name, source.revision, source.weights) == (tmp_path.name, "second", tmp_path / "model.safetensors")
    assert not (tmp_path / "cache").exists()


def test_weights_that_nobody_pinned_are_taken_as_they_are(tmp_path: Path) -> None:
    """Only pinned weights have a hash to be compared with."""
    source = find(str(tmp_path), revision="second", cache_dir=tmp_path)

    source.verify()

    assert source.sha256 is None


@pytest.mark.parametrize(
    ("name", "repository", "full_name"),
    [
        ("somebody/some-model", "models--somebody--some-model", "somebody/some-model"),
        ("some-model", "models--sentence-transformers--some-model", "sentence-transformers/some-model"),
    ],
)
def test_a_hub_model_in_the_cache_is_used_as_it_is(hub: Path, name: str, repository: str, full_name: str) -> None:
    """A snapshot's revision is its commit; a bare name is one of Sentence Transformers."""
    snapshot = keep(hub, repository)

    source = find(name, revision=None, cache_dir=hub)

    assert (source.name, source.revision, source.path) == (full_name, COMMIT, snapshot)


def test_a_revision_of_a_hub_model_may_be_a_branch(hub: Path) -> None:
    """A branch leads to its commit; one that was never fetched is not replaced by another."""
    keep(hub, "models--somebody--some-model", branch="tuned")

    assert find("somebody/some-model", revision="tuned", cache_dir=hub).revision == COMMIT
    with pytest.raises(ModelNotFound):
        find("somebody/some-model", revision="other", cache_dir=hub)


def test_a_hub_model_that_was_never_fetched_is_not_found_offline(hub: Path) -> None:
    """Offline the error names the model, every place that was tried, and one line of the reason."""
    with pytest.raises(ModelNotFound) as refused:
        find("some-model", revision=None, cache_dir=hub)

    assert refused.value.facts["model"] == "some-model"
    assert refused.value.facts["tried"] == "package, folder, hub (sentence-transformers/some-model)"
    assert "\n" not in str(refused.value.facts["problem"])
    assert not hub.exists()


def test_a_header_tells_tensors_and_nothing_else(tmp_path: Path) -> None:
    """Type and shape of each tensor are read; what a file says of itself is left out."""
    tensor = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "weight": tensor}).encode()
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))

    assert read_header(weights, model="m") == {"weight": tensor}


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, (4).to_bytes(8, "little") + b"{no}", None])
def test_a_header_that_cannot_be_read_is_no_model(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, cut and foreign files are told apart from models, and missing from broken."""
    weights = tmp_path / "model.safetensors"
    if content is not None:
        weights.write_bytes(content)

    with pytest.raises(ModelNotFound) as refused:
        read_header(weights, model="m")

    fact = "missing" if content is None else "broken"
    assert refused.value.facts[fact] == str(weights)
