"""One model for many threads: bursts are computed together, errors find their way, nothing waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.embedder import shared as sharing
from pipeline.adapters.embedder.shared import TOGETHER, SharedEmbedder
from pipeline.errors import EmbedderUnavailable, InvalidVector, ModelNotFound
from pipeline.model import Vector
from tests.fakes.embedder import WordEmbedder

PATIENTLY = 60


class Gate(WordEmbedder):
    """Computes nothing before it is opened; notes what it was asked together, and by which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.calls: list[list[str]] = []
        self.threads: set[int] = set()

    def encode_query(self, text: str) -> Vector:
        """One question, once the gate is open."""
        self._pass([text])
        return super().encode_query(text)

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Many questions in one call."""
        self._pass(texts)
        if "poison" in texts:
            raise InvalidVector(problem="poison")
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.identity.dimension)

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Documents, in one call."""
        self._pass(texts)
        return super().encode_documents(texts)

    def _pass(self, texts: Sequence[str]) -> None:
        self.calls.append(list(texts))
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.opened.wait(PATIENTLY)
        if list(texts) == ["poison"]:
            raise InvalidVector(problem="poison")


class Burst:
    """Threads that ask while the first question is being computed: the others wait together."""

    def __init__(self, gate: Gate, shared: SharedEmbedder) -> None:
        self._gate = gate
        self._shared = shared

    def ask(self, texts: Sequence[str]) -> list[Any]:
        """What each got."""
        with ThreadPoolExecutor(len(texts) + 1) as pool:
            first = pool.submit(self._shared.encode_query, "first")
            assert self._gate.entered.wait(PATIENTLY)
            asked = [pool.submit(self._shared.encode_query, text) for text in texts]
            while self._shared.waiting < len(texts):
                threading.Event().wait(0.001)
            self._gate.opened.set()
            first.result(PATIENTLY)
            return [future.exception(PATIENTLY) or future.result() for future in asked]


def said(texts: Sequence[str]) -> Vector:
    """What the model itself says."""
    return WordEmbedder().encode_queries(texts)


@pytest.fixture
def gate() -> Gate:
    """A model behind a gate."""
    return Gate()


@pytest.fixture
def shared(gate: Gate) -> Iterator[SharedEmbedder]:
    """The model, shared."""
    embedder = SharedEmbedder(lambda: gate)
    yield embedder
    gate.opened.set()
    embedder.close()


def test_a_burst_is_computed_in_one_call(gate: Gate, shared: SharedEmbedder) -> None:
    """Twenty questions that came while one was computed take one call, and each gets its own vector."""
    texts = [f"question {number}" for number in range(20)]

    vectors = Burst(gate, shared).ask(texts)

    assert [sorted(call) for call in gate.calls] == [["first"], sorted(texts)]
    assert np.array_equal(
        np.stack([vector for vector in vectors if not isinstance(vector, BaseException)]), said(texts)
    )


def test_the_same_question_of_many_is_computed_once(gate: Gate, shared: SharedEmbedder) -> None:
    """Ten customers who write `hello` cost one vector."""
    Burst(gate, shared).ask(["hello", "hello", "hello", "bye"])

    assert sorted(gate.calls[1]) == ["bye", "hello"]


def test_a_question_alone_is_computed_as_one(gate: Gate, shared: SharedEmbedder) -> None:
    """Nobody waits for company."""
    gate.opened.set()

    vector = shared.encode_query("alone")

    assert gate.calls == [["alone"]]
    assert np.array_equal(vector, said(["alone"])[0])


def test_an_error_reaches_whose_question_it_is(gate: Gate, shared: SharedEmbedder) -> None:
    """The others of the burst get their vectors."""
    got = Burst(gate, shared).ask(["one", "poison", "two"])

    assert isinstance(got[1], InvalidVector)
    assert isinstance(got[0], np.ndarray)
    assert isinstance(got[2], np.ndarray)


def test_a_burst_larger_than_a_call_takes_several(gate: Gate, shared: SharedEmbedder) -> None:
    """No call computes more than its limit."""
    Burst(gate, shared).ask([f"question {number}" for number in range(TOGETHER + 4)])

    assert [len(call) for call in gate.calls] == [1, TOGETHER, 4]


def test_only_one_thread_touches_the_model(gate: Gate, shared: SharedEmbedder) -> None:
    """Opening, questions and documents are all its own thread's, so a model need not be safe for more."""
    gate.opened.set()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(shared.encode_query, "abcdef"))
        list(pool.map(shared.encode_documents, [["a"], ["b"]]))

    assert len(gate.threads) == 1
    assert threading.get_ident() not in gate.threads


def test_who_cannot_wait_is_told_so(gate: Gate, shared: SharedEmbedder) -> None:
    """A model that hangs costs its patience, and a question given up is not computed later."""
    quick = shared.within(timedelta(milliseconds=30))

    with pytest.raises(EmbedderUnavailable):
        quick.encode_query("stuck")
    with pytest.raises(EmbedderUnavailable):
        quick.encode_query("given up")
    gate.opened.set()
    shared.encode_query("later")

    assert ["given up"] not in gate.calls


def test_a_model_that_takes_long_to_open_is_waited_for_by_who_can() -> None:
    """Others go without until it is there."""
    there = threading.Event()

    def opened() -> WordEmbedder:
        assert there.wait(PATIENTLY)
        return WordEmbedder()

    shared = SharedEmbedder(opened)
    quick = shared.within(timedelta(milliseconds=30))

    for ask in (lambda: quick.encode_query("x"), lambda: quick.identity, lambda: quick.tokenizer):
        with pytest.raises(EmbedderUnavailable):
            ask()
    there.set()
    shared.open()
    calm = shared.within(timedelta(seconds=PATIENTLY))

    assert quick.identity == shared.identity
    assert shared.tokenizer.count(["a"]) == quick.tokenizer.count(["a"])
    assert calm.encode_queries(["a", "b"]).shape == calm.encode_documents(["a", "b"]).shape == (2, 64)
    shared.close()


def test_a_model_that_is_not_there_is_looked_for_again() -> None:
    """Whoever asks learns why there is no answer; the next may find the model installed."""
    found: list[WordEmbedder] = []

    def opened() -> WordEmbedder:
        if not found:
            raise ModelNotFound(model="some")
        return found[0]

    shared = SharedEmbedder(opened)
    with pytest.raises(ModelNotFound):
        shared.encode_query("one")
    found.append(WordEmbedder())

    vector = shared.encode_query("one")

    assert vector.shape == (64,)
    shared.close()


def test_many_documents_let_questions_in_between(gate: Gate, shared: SharedEmbedder) -> None:
    """A long list is computed in parts, in its order; an empty one has no rows."""
    gate.opened.set()
    texts = [f"document {number}" for number in range(40)]

    vectors = shared.encode_documents(texts)

    assert np.array_equal(vectors, WordEmbedder().encode_documents(texts))
    assert len(gate.calls) == 3
    assert shared.encode_documents([]).shape == (0, 64)
    assert shared.encode_queries([]).shape == (0, 64)


def test_what_is_closed_refuses(shared: SharedEmbedder, gate: Gate) -> None:
    """Before its first question too, and more than once."""
    gate.opened.set()
    shared.encode_query("one")
    shared.close()
    shared.close()

    with pytest.raises(EmbedderUnavailable):
        shared.encode_query("two")


def test_a_caller_does_something_else_while_its_question_is_computed() -> None:
    """`begin_message` returns before the model has answered; the vector is there when it is asked for."""
    model = Gate()
    shared = SharedEmbedder(lambda: model)

    vector = shared.begin_message("one")
    model.opened.set()

    assert np.array_equal(vector(), WordEmbedder().encode_query("one"))
    shared.close()


def test_what_was_begun_has_an_end_as_well() -> None:
    """Patience counts from the beginning."""
    model = Gate()
    shared = SharedEmbedder(lambda: model)

    vector = shared.within(timedelta(0)).begin_message("one")

    with pytest.raises(EmbedderUnavailable):
        vector()
    model.opened.set()
    shared.close()


def test_a_model_that_hangs_keeps_no_process(
    shared: SharedEmbedder, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends waits for it for a moment, and leaves it."""
    monkeypatch.setattr(sharing, "FAREWELL_SECONDS", 0.05)
    with pytest.raises(EmbedderUnavailable):
        shared.within(timedelta(milliseconds=50)).encode_query("never")

    shared.close()

    assert gate.entered.wait(PATIENTLY)
    gate.opened.set()
