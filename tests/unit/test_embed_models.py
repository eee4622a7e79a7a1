"""Finding a model, reading what it says of itself, and choosing what runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipeline.adapters.embedder import identify, open_embedder, open_tokenizer
from pipeline.adapters.embedder.description import UNLIMITED
from pipeline.adapters.embedder.int8 import quantise
from pipeline.adapters.embedder.sources import PACKAGED, ModelSource, find
from pipeline.adapters.embedder.wordpieces import WordPieces
from pipeline.errors import InvalidSettings, ModelNotFound, TextTooLong
from pipeline.settings import EmbedSettings
from tests.lab.tiny_bert import write_tiny_bert

LIGHT = """
import sys
from pathlib import Path
from pipeline.adapters.embedder import open_embedder
from pipeline.settings import EmbedSettings
open_embedder(EmbedSettings(device="cpu"), cache_dir=Path(sys.argv[1])).encode_query("hello")
print(sorted({"torch", "transformers", "sentence_transformers", "huggingface_hub"} & set(sys.modules)))
"""
HUB = """
import sys
from pathlib import Path
from pipeline.adapters.embedder import identify
from pipeline.errors import ModelNotFound
from pipeline.settings import EmbedSettings
try:
    identity = identify(EmbedSettings(model="somebody/some-model"), cache_dir=Path(sys.argv[1]))
    print(identity.name, identity.revision)
except ModelNotFound as error:
    print(error)
"""
WITHOUT_ONNX = """
import sys
from pathlib import Path
sys.modules["onnxruntime"] = None
sys.meta_path.insert(0, type("Absent", (), {"find_spec": staticmethod(lambda name, *_: None)}))
from pipeline.adapters.embedder import open_embedder
from pipeline.errors import PackageMissing
from pipeline.settings import EmbedSettings
try:
    open_embedder(EmbedSettings(model=sys.argv[1], backend="onnx"), cache_dir=Path(sys.argv[2]))
except PackageMissing as error:
    print(error)
"""
TELLTALE = """
import socket, sys
from pathlib import Path
connected = []
sys.addaudithook(lambda event, facts: connected.append(facts) if event in {"socket.connect", "os.fork"} else None)
from pipeline.adapters.embedder import open_embedder
from pipeline.settings import EmbedSettings
open_embedder(EmbedSettings(device="cpu", backend="openvino"), cache_dir=Path(sys.argv[1])).encode_query("hello")
print(connected)
"""
CONTINUOUS_INTEGRATION = {"CI", "TF_BUILD", "JENKINS_URL"}
"""Where one of these is set, what tells its maker of its use may hold back: a test must see it as a user does."""

NOWHERE = "http://127.0.0.1:9"
"""A hub address at which nothing listens."""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a small model."""
    return write_tiny_bert(tmp_path / "tiny")


def settings(model: Path | str, **values: object) -> EmbedSettings:
    """Settings for a model on the CPU."""
    return EmbedSettings.model_validate({"model": str(model), "device": "cpu", **values})


@cache
def packaged_tokenizer() -> WordPieces:
    """The default model's tokenizer."""
    source = find("all-MiniLM-L6-v2", revision=None, cache_dir=Path("unused"))
    return WordPieces(source.path / "tokenizer.json", model=source.name)


def edit(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def run(code: str, *arguments: str, **environment: str) -> str:
    """What a new Python process with this environment prints."""
    command = [sys.executable, "-c", code, *arguments]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True).stdout  # noqa: S603 - the code above


# --- find ----------------------------------------------------------------------------------


def test_the_default_model_comes_from_its_package(tmp_path: Path) -> None:
    """It is found without a hub, and its weights are the ones that were pinned."""
    source = find("all-MiniLM-L6-v2", revision=None, cache_dir=tmp_path)

    source.verify()
    assert source.sha256 == PACKAGED["all-MiniLM-L6-v2"].sha256
    assert source.revision == "53aa51172d14"


def test_nobody_is_told_that_a_model_is_used(tmp_path: Path) -> None:
    """No connection, no child that might make one, and no number for this machine in its user's home."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in CONTINUOUS_INTEGRATION}

    ran = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", TELLTALE, str(tmp_path / "cache")],
        env=environment | {"HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )

    assert ran.stdout.strip() == "[]"
    assert list(home.iterdir()) == []


def test_weights_that_are_not_the_pinned_ones_are_refused(tiny: Path) -> None:
    """A file of that name with other content is not that model."""
    source = ModelSource(name="all-MiniLM-L6-v2", path=tiny, revision="x", sha256="0" * 64)

    with pytest.raises(ModelNotFound) as refused:
        source.verify()

    assert refused.value.facts["expected_sha256"] == "0" * 64


def test_a_folders_revision_follows_its_content(tiny: Path, tmp_path: Path) -> None:
    """A copy elsewhere has the same revision; other weights have another."""
    cache = tmp_path / "cache"
    copy = Path(shutil.copytree(tiny, tmp_path / "elsewhere" / "tiny"))
    other = write_tiny_bert(tmp_path / "other" / "tiny", seed=2)

    identities = [identify(settings(folder), cache_dir=cache) for folder in (tiny, copy, other)]

    assert identities[0] == identities[1]
    assert identities[0].fingerprint != identities[2].fingerprint


def test_a_folders_hash_is_remembered(tiny: Path, tmp_path: Path) -> None:
    """Weights are hashed once for each state of the files, not at every start."""
    first = find(str(tiny), revision=None, cache_dir=tmp_path / "cache")
    (remembered,) = (tmp_path / "cache" / "weights").iterdir()
    remembered.write_text("remembered", encoding="utf-8")

    second = find(str(tiny), revision=None, cache_dir=tmp_path / "cache")

    assert (len(first.revision), second.revision) == (12, "remembered")


def test_a_cache_that_cannot_be_written_only_costs_time(tiny: Path, tmp_path: Path) -> None:
    """A file where the cache directory should be does not stop a model from being found."""
    blocked = tmp_path / "file"
    blocked.touch()

    assert find(str(tiny), revision=None, cache_dir=blocked / "cache").path == tiny


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere/at/all", "a/b/c", "white space"])
def test_a_path_that_is_no_folder_is_no_hub_name(name: str, tmp_path: Path) -> None:
    """A mistyped path is told as such, and nobody is asked over the network."""
    with pytest.raises(ModelNotFound, match="no such folder"):
        find(name, revision=None, cache_dir=tmp_path)


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": NOWHERE}])
def test_a_hub_model_that_cannot_be_had_is_not_found(environment: dict[str, str], tmp_path: Path) -> None:
    """Offline, or with no hub in reach, the error names the model, what was tried, and the remedy."""
    told = run(HUB, str(tmp_path), HF_HOME=str(tmp_path / "hub"), **environment)

    assert "somebody/some-model" in told
    assert "SITEWISE_EMBED__MODEL" in told


def test_a_hub_model_in_the_cache_needs_no_hub(tmp_path: Path) -> None:
    """What was fetched once is used offline, and its revision is its commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "hub" / "models--somebody--some-model"
    write_tiny_bert(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")

    told = run(HUB, str(tmp_path), HF_HOME=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")

    assert told.split() == ["somebody/some-model", commit]


# --- read ----------------------------------------------------------------------------------


def test_the_folder_says_what_the_vectors_are(tmp_path: Path) -> None:
    """Width, length, pooling and normalisation are read, not assumed."""
    folder = write_tiny_bert(tmp_path / "m", dimension=48, max_tokens=40, pooling="cls", normalised=False)

    identity = identify(settings(folder), cache_dir=tmp_path)

    assert (identity.name, identity.dimension, identity.max_tokens) == ("m", 48, 40)
    assert (identity.pooling, identity.normalised) == ("cls", False)


def test_a_models_own_prompts_are_used_and_settings_go_before_them(tmp_path: Path) -> None:
    """An asymmetric model works as its makers meant without being configured."""
    folder = write_tiny_bert(tmp_path / "m", prompts={"query": "query: ", "passage": "text: "})

    own = identify(settings(folder), cache_dir=tmp_path)
    set_here = identify(settings(folder, query_prompt="the query "), cache_dir=tmp_path)

    assert (own.query_prompt, own.document_prompt) == ("query: ", "text: ")
    assert (set_here.query_prompt, set_here.document_prompt) == ("the query ", "text: ")


def test_a_prompt_takes_its_tokens_from_the_text(tmp_path: Path) -> None:
    """`max_tokens` is what is left to a text: one of that length still fits with its prompt."""
    folder = write_tiny_bert(tmp_path / "m", prompts={"document": "the price the price "})
    embedder = open_embedder(settings(folder), cache_dir=tmp_path)
    room = embedder.identity.max_tokens - 2

    vectors = embedder.encode_documents(["the " * room])

    assert room < 46 - 4
    assert np.isfinite(vectors).all()
    with pytest.raises(TextTooLong):
        embedder.encode_documents(["the " * (room + 1)])


def test_prompts_change_what_is_embedded(tmp_path: Path) -> None:
    """The same words as a question and as a document have different vectors under prompts."""
    folder = write_tiny_bert(tmp_path / "m", prompts={"query": "query "})
    embedder = open_embedder(settings(folder), cache_dir=tmp_path)

    question = embedder.encode_query("refund")

    documents = embedder.encode_documents(["refund", "query refund"])
    assert not np.allclose(question, documents[0], atol=1e-3)
    assert np.allclose(question, documents[1], atol=1e-3)


def test_a_folder_without_modules_is_a_bare_transformer(tiny: Path, tmp_path: Path) -> None:
    """As in the library, it gets mean pooling and no normalisation."""
    (tiny / "modules.json").unlink()

    identity = identify(settings(tiny), cache_dir=tmp_path)

    assert (identity.pooling, identity.normalised, identity.backend) == ("mean", False, "openvino")


def test_a_pooling_may_be_named_by_a_word(tiny: Path, tmp_path: Path) -> None:
    """Newer folders say `pooling_mode` where older ones have a switch for each."""
    (tiny / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls", "embedding_dimension": 32}')

    assert identify(settings(tiny), cache_dir=tmp_path).pooling == "cls"


def test_a_last_layer_of_its_own_decides_the_dimension(tiny: Path, tmp_path: Path) -> None:
    """A dense module after the pooling names the width, and makes the model one for the library."""
    modules = json.loads((tiny / "modules.json").read_text(encoding="utf-8"))
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (tiny / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (tiny / "3_Dense").mkdir()
    (tiny / "3_Dense" / "config.json").write_text('{"in_features": 32, "out_features": 12}', encoding="utf-8")

    identity = identify(settings(tiny), cache_dir=tmp_path)

    assert (identity.dimension, identity.backend) == (12, "torch")


def test_a_table_of_word_vectors_is_a_model_too(tiny: Path, tmp_path: Path) -> None:
    """A static model has no transformer: its table's width is the dimension, and it reads any length."""
    kind = "sentence_transformers.models.StaticEmbedding"
    (tiny / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}]))
    for name in ("config.json", "sentence_bert_config.json", "tokenizer_config.json"):
        (tiny / name).unlink()
    save_file({"embedding.weight": np.zeros((9, 24), np.float32)}, tiny / "model.safetensors")

    identity = identify(settings(tiny), cache_dir=tmp_path)

    assert (identity.dimension, identity.max_tokens, identity.pooling) == (24, UNLIMITED, "none")


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "1_Pooling/config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, "{broken"])
def test_a_broken_folder_says_which_file(tiny: Path, name: str, content: str | None, tmp_path: Path) -> None:
    """A file that is missing or unreadable is named, with what can be done."""
    if content is None:
        (tiny / name).unlink()
    else:
        (tiny / name).write_text(content, encoding="utf-8")

    with pytest.raises(ModelNotFound) as refused:
        open_embedder(settings(tiny), cache_dir=tmp_path)

    assert str(tiny) in str(refused.value)
    assert "SITEWISE_EMBED__MODEL" in str(refused.value)


def test_weights_of_another_shape_are_refused(tiny: Path, tmp_path: Path) -> None:
    """A configuration that does not fit its weights is a broken model, not a crash."""
    edit(tiny / "config.json", num_hidden_layers=3)

    with pytest.raises(ModelNotFound, match=r"model\.safetensors"):
        open_embedder(settings(tiny), cache_dir=tmp_path)


def test_the_tokenizer_opens_without_weights(tiny: Path, tmp_path: Path) -> None:
    """Cutting pages needs the tokenizer alone; spans leave special tokens out."""
    (tiny / "model.safetensors").write_bytes(b"")

    tokenizer = open_tokenizer(settings(tiny), cache_dir=tmp_path)

    assert tokenizer.count(["", "the price"]) == [2, 4]
    assert tokenizer.offsets("the price") == [(0, 3), (4, 9)]


@given(text=st.text(max_size=200), max_tokens=st.integers(2, 40))
@settings_of_hypothesis(deadline=None)
def test_what_is_kept_of_a_long_question_is_its_end(text: str, max_tokens: int) -> None:
    """The kept part is a suffix, fits, and a text that fits is kept whole."""
    tokenizer = packaged_tokenizer()

    kept = tokenizer.keep_end(text, max_tokens=max_tokens)

    assert text.endswith(kept)
    assert tokenizer.count([kept])[0] <= max_tokens
    assert kept == text or tokenizer.count([text])[0] > max_tokens


# --- choose --------------------------------------------------------------------------------


def test_auto_takes_our_own_backend_for_a_plain_bert(tiny: Path, tmp_path: Path) -> None:
    """Mean or first-token pooling over a BERT needs no torch."""
    assert identify(settings(tiny), cache_dir=tmp_path).backend == "openvino"


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}),
        ("1_Pooling/config.json", {"include_prompt": False}),
        ("config.json", {"model_type": "roberta"}),
        ("config.json", {"hidden_act": "silu"}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
    ],
)
def test_auto_leaves_everything_else_to_the_library(
    tiny: Path, tmp_path: Path, file: str, changes: dict[str, object]
) -> None:
    """What our backend does not compute exactly, it does not compute; asked for by name, it says so."""
    edit(tiny / file, **changes)

    assert identify(settings(tiny), cache_dir=tmp_path).backend == "torch"
    with pytest.raises(InvalidSettings, match="SITEWISE_EMBED__BACKEND"):
        identify(settings(tiny, backend="openvino"), cache_dir=tmp_path)


@pytest.mark.parametrize(("backend", "precision"), [("openvino", "fp16"), ("torch", "int8"), ("onnx", "bf16")])
def test_a_precision_the_backend_lacks_is_refused(tiny: Path, tmp_path: Path, backend: str, precision: str) -> None:
    """Vectors are never computed in another precision than the one recorded."""
    with pytest.raises(InvalidSettings, match="SITEWISE_EMBED__PRECISION"):
        identify(settings(tiny, backend=backend, precision=precision), cache_dir=tmp_path)


def test_identify_tells_what_opening_would_give(tiny: Path, tmp_path: Path) -> None:
    """A mismatch with the store shows before any weight is loaded."""
    for values in ({}, {"precision": "int8"}):
        chosen = settings(tiny, **values)

        assert identify(chosen, cache_dir=tmp_path) == open_embedder(chosen, cache_dir=tmp_path).identity


def test_an_export_that_is_not_there_is_named(tiny: Path, tmp_path: Path) -> None:
    """The `onnx` backend says which file it looked for; it makes none."""
    with pytest.raises(ModelNotFound, match=r"onnx/model\.onnx"):
        open_embedder(settings(tiny, backend="onnx"), cache_dir=tmp_path)


def test_a_broken_export_is_named(tiny: Path, tmp_path: Path) -> None:
    """A file that is no ONNX graph is a model that cannot be loaded."""
    (tiny / "model.onnx").write_bytes(b"no graph")

    with pytest.raises(ModelNotFound, match=r"model\.onnx"):
        open_embedder(settings(tiny, backend="onnx"), cache_dir=tmp_path)


def test_an_export_needs_a_package_that_is_named(tiny: Path, tmp_path: Path) -> None:
    """Without ONNX Runtime the backend says which extra brings it."""
    told = run(WITHOUT_ONNX, str(tiny), str(tmp_path))

    assert "sitewise[onnx]" in told
    assert "SITEWISE_EMBED__BACKEND" in told


def test_an_export_covers_pooling_alone(tiny: Path, tmp_path: Path) -> None:
    """A model that does more than an export holds is refused, with the backend that runs it."""
    edit(tiny / "sentence_bert_config.json", do_lower_case=True)

    with pytest.raises(InvalidSettings, match="SITEWISE_EMBED__BACKEND=torch"):
        identify(settings(tiny, backend="onnx"), cache_dir=tmp_path)


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "graphics card"])
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_device_that_is_not_here_is_named(tiny: Path, tmp_path: Path, device: str, backend: str) -> None:
    """Asked for a device that torch does not see, it says which it does see."""
    with pytest.raises(InvalidSettings, match=r"SITEWISE_EMBED__DEVICE.*sees .*cpu"):
        identify(settings(tiny, device=device, backend=backend), cache_dir=tmp_path)


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_a_device_the_backend_lacks_is_refused(tiny: Path, tmp_path: Path, backend: str) -> None:
    """A wish for a GPU is never dropped in silence."""
    with pytest.raises(InvalidSettings, match=r"SITEWISE_EMBED__DEVICE.*computes on the cpu"):
        identify(settings(tiny, device="cuda", backend=backend), cache_dir=tmp_path)


def test_all_cores_give_the_same_vectors(tiny: Path, tmp_path: Path) -> None:
    """The number of threads changes how long it takes, not what comes out."""
    vectors = [
        open_embedder(settings(tiny, threads=threads), cache_dir=tmp_path).encode_query("the price")
        for threads in (0, 1)
    ]

    assert np.allclose(vectors[0], vectors[1], atol=1e-3)


def test_the_default_path_loads_no_torch(tmp_path: Path) -> None:
    """From a new process to a first vector, no large library is imported."""
    assert run(LIGHT, str(tmp_path)).strip() == "[]"


# --- round ---------------------------------------------------------------------------------


def test_rounded_weights_stay_within_half_a_step() -> None:
    """Each group keeps its own scale, and a group of zeros stays zero."""
    matrix = np.random.default_rng(1).normal(size=(4, 256)).astype(np.float32)
    matrix[0, :128] = 0

    rounded, scales = quantise(matrix)

    assert rounded.dtype == np.int8
    error = np.abs((rounded * scales).reshape(matrix.shape) - matrix).reshape(4, 2, 128)
    assert (error <= scales * 0.5001).all()
    assert not rounded[0, 0].any()
