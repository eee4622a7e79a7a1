"""What every embedding backend promises, kept by each that runs here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.embedder import open_embedder
from pipeline.adapters.embedder.direct import computes_bf16
from pipeline.adapters.embedder.port import Embedder
from pipeline.errors import TextTooLong
from pipeline.model import Vector
from pipeline.settings import EmbedSettings
from tests.lab.onnx_export import write_onnx_export
from tests.lab.tiny_bert import write_tiny_bert

TEXTS = [
    "How do I return a parcel?",
    "Returns are free within 30 days. Print the label, tape it on the box, and hand it in at any shop.",
    "Preise gelten inklusive Mehrwertsteuer; Versand innerhalb Deutschlands kostet 4,90 €.",
    "返品は30日以内に無料で承ります。",
    "Ω≈ç√∫ 😀 naïve café \u200f مرحبا",
    "| Plan | Price |\n|---|---|\n| Basic | $9 |\n| Team | $29 |",
    "x",
    "",
    "Our opening hours are nine to five on weekdays. " * 12,
]
SHORT = [text[:30] for text in TEXTS]
BACKENDS = ["openvino-fp32", "openvino-bf16", "openvino-int8", "torch-fp32", "torch-bf16", "torch-fp16"]
MODELS = ["packaged", "tiny-mean", "tiny-cls-raw"]
CASES = [
    *((model, backend) for model in MODELS for backend in BACKENDS if model == "packaged" or "f16" not in backend),
    *((model, "onnx-fp32") for model in MODELS[1:]),  # the package holds no export
]
LEAST_ALONE = {"torch-bf16": 0.9995}
"""Padding costs the library some of bf16's exactness; everything else is below 0.9999 only when broken."""

LEAST_COSINE = {"fp32": 0.999999, "bf16": 0.9999, "int8": 0.998}


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Embedder]:
    """Opens a model in a backend, once a session."""
    root = tmp_path_factory.mktemp("models")
    tiny = write_tiny_bert(root / "tiny-mean")
    raw = write_tiny_bert(root / "tiny-cls-raw", pooling="cls", normalised=False, dimension=48)
    write_onnx_export(tiny)
    write_onnx_export(raw)
    folders = {
        "tiny-mean": str(tiny),
        "tiny-cls-raw": str(raw),
        "packaged": "all-MiniLM-L6-v2",
    }

    @cache
    def open_one(model: str, backend: str) -> Embedder:
        name, _, precision = backend.partition("-")
        values = {"model": folders[model], "backend": name, "precision": precision, "device": "cpu"}
        return open_embedder(EmbedSettings.model_validate(values), cache_dir=root / "cache")

    return open_one


@pytest.fixture(params=CASES, ids="/".join)
def embedder(request: pytest.FixtureRequest, opened: Callable[[str, str], Embedder]) -> Embedder:
    """Each model in each backend."""
    model, backend = request.param
    return opened(model, backend)


def cosines(left: Vector, right: Vector) -> Vector:
    """The cosine of each row with its counterpart."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    result: Vector = (left * right).sum(axis=1) / norms
    return result


def test_each_text_gets_a_finite_float32_row(embedder: Embedder) -> None:
    """Shape, type and finiteness hold for every script, for one letter, and for no letter."""
    vectors = embedder.encode_documents(SHORT)

    assert vectors.shape == (len(SHORT), embedder.identity.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_rows_have_unit_length_where_the_identity_says_so(embedder: Embedder) -> None:
    """`normalised` is a promise to the vector store."""
    vectors = embedder.encode_documents(SHORT)

    norms = np.linalg.norm(vectors, axis=1)
    assert np.allclose(norms, 1, atol=1e-5) == embedder.identity.normalised


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    """An empty call returns an empty array of the model's width."""
    vectors = embedder.encode_documents([])

    assert vectors.shape == (0, embedder.identity.dimension)
    assert vectors.dtype == np.float32


def test_a_vector_does_not_depend_on_its_neighbours(embedder: Embedder) -> None:
    """A text alone, among others, doubled or in another order has the same vector."""
    together = embedder.encode_documents([*reversed(SHORT), *SHORT])

    alone = np.concatenate([embedder.encode_documents([text]) for text in SHORT])
    least = LEAST_ALONE.get(f"{embedder.identity.backend}-{embedder.identity.precision}", 0.9999)
    assert cosines(together[len(SHORT) :], alone).min() >= least
    assert cosines(together[: len(SHORT)][::-1], alone).min() >= least


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_our_own_backend_repeats_itself_exactly(opened: Callable[[str, str], Embedder], backend: str) -> None:
    """The same text has the same bits in its vector, whatever was embedded before or beside it."""
    embedder = opened("packaged", backend)

    together = embedder.encode_documents(TEXTS)

    alone = np.concatenate([embedder.encode_documents([text]) for text in reversed(TEXTS)])
    assert np.array_equal(together, alone[::-1])


def test_different_texts_have_different_vectors(embedder: Embedder) -> None:
    """No backend answers the same thing to everything."""
    vectors = embedder.encode_documents(["refund", "the price of shipping"])

    assert cosines(vectors[:1], vectors[1:])[0] < 0.999


def test_a_text_over_the_limit_is_refused_with_its_place(embedder: Embedder) -> None:
    """Nothing is cut silently: the error names which text, its tokens, and the limit."""
    limit = embedder.identity.max_tokens
    special = embedder.tokenizer.count([""])[0]
    fitting = "the " * (limit - special)

    embedder.encode_documents([fitting])
    with pytest.raises(TextTooLong) as refused:
        embedder.encode_documents(["the", fitting + "the"])

    assert refused.value.facts == {"position": 1, "tokens": limit + 1, "max_tokens": limit}


def test_a_long_question_keeps_its_end(embedder: Embedder) -> None:
    """What a person asked last decides; the start of a long question is cut away."""
    room = embedder.identity.max_tokens - embedder.tokenizer.count([""])[0]
    end = "refund " * room

    cut = embedder.encode_query("price " * 300 + end)

    assert cosines(cut[None], embedder.encode_query(end)[None])[0] >= 0.9999


def test_a_message_is_a_question_and_what_an_inner_layer_made_of_it(embedder: Embedder) -> None:
    """The inner part has length 1 where a backend sees inner layers, and no numbers elsewhere; many are as one each."""
    texts = ["where is the parcel", "stop it", "a longer question about the parcel"]
    dimension = embedder.identity.dimension

    messages = embedder.encode_messages(texts)

    inner = messages[:, dimension:]
    assert messages.shape == (3, dimension + embedder.inner)
    assert embedder.inner == (dimension if embedder.identity.backend == "openvino" else 0)
    assert np.allclose(np.linalg.norm(inner, axis=1), 1 if embedder.inner else 0, atol=1e-5)
    assert (cosines(messages[:, :dimension], embedder.encode_queries(texts)) > 0.9999).all()
    assert cosines(messages[1:2], embedder.encode_message(texts[1])[None])[0] > 0.9999
    assert not embedder.inner or not np.allclose(inner[0], inner[1], atol=1e-2)
    assert embedder.encode_messages([]).shape == (0, dimension + embedder.inner)


def test_a_question_without_prompts_is_a_document(embedder: Embedder) -> None:
    """Where a model has no prompts, both calls give one vector of one shape."""
    vector = embedder.encode_query("the price")

    assert vector.shape == (embedder.identity.dimension,)
    assert cosines(vector[None], embedder.encode_documents(["the price"]))[0] >= 0.9999


def test_lone_surrogates_are_read_as_question_marks(embedder: Embedder) -> None:
    """Text that no encoding can spell is embedded, not a crash."""
    vectors = embedder.encode_documents(["refund \ud800 price", "refund ? price"])

    assert cosines(vectors[:1], vectors[1:])[0] >= 0.9999


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_our_own_backend_agrees_with_the_library(opened: Callable[[str, str], Embedder], backend: str) -> None:
    """The default model's vectors are those of sentence-transformers in fp32."""
    expected = opened("packaged", "torch-fp32").encode_documents(TEXTS)

    vectors = opened("packaged", backend).encode_documents(TEXTS)

    assert cosines(vectors, expected).mean() >= LEAST_COSINE[backend.partition("-")[2]]


@pytest.mark.parametrize("backend", ["torch-bf16", "torch-fp16"])
def test_half_precision_is_near_enough_to_share_a_collection(
    opened: Callable[[str, str], Embedder], backend: str
) -> None:
    """What a GPU computes in by default, computed here on the CPU, agrees with fp32 to 0.9999."""
    expected = opened("packaged", "torch-fp32").encode_documents(TEXTS)

    vectors = opened("packaged", backend).encode_documents(TEXTS)

    assert cosines(vectors, expected).mean() >= 0.9999


@pytest.mark.parametrize("backend", ["openvino-fp32", "onnx-fp32"])
@pytest.mark.parametrize("model", MODELS[1:])
def test_another_model_agrees_too(opened: Callable[[str, str], Embedder], model: str, backend: str) -> None:
    """Pooling, normalisation, width and length come from the model's folder, not from this code."""
    expected = opened(model, "torch-fp32").encode_documents(SHORT)

    vectors = opened(model, backend).encode_documents(SHORT)

    assert cosines(vectors, expected).min() >= 0.99999
    assert np.allclose(vectors, expected, atol=1e-4)


def test_identities_differ_only_in_what_ran(opened: Callable[[str, str], Embedder]) -> None:
    """fp32, bf16 and the two backends may share a collection; int8 may not."""
    prints = {backend: opened("packaged", backend).identity.fingerprint for backend in BACKENDS}

    int8 = prints.pop("openvino-int8")
    assert len(set(prints.values())) == 1
    assert int8 not in prints.values()


def test_bf16_is_chosen_by_what_the_processor_computes(tmp_path: Path) -> None:
    """A processor that lists bf16 instructions computes in it; another, or none listed, does not."""
    modern, old = tmp_path / "modern", tmp_path / "old"
    modern.write_text("flags : fpu avx512f avx512_bf16", encoding="utf-8")
    old.write_text("flags : fpu avx2", encoding="utf-8")

    answers = [computes_bf16(modern), computes_bf16(old), computes_bf16(tmp_path / "absent")]

    assert answers == [True, False, False]
