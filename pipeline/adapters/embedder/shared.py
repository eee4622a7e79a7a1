"""One model for many threads: one of them computes, for everybody who waits at the time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from pipeline.adapters.embedder.port import Embedder, QuestionEmbedder, Tokenizer
from pipeline.errors import EmbedderUnavailable
from pipeline.model import ModelIdentity, Vector

TOGETHER = 32
"""Questions computed in one call at most: who comes later waits no longer than these take."""

FAREWELL_SECONDS = 5.0
"""How long a process that ends waits for its model. One whose files lie on a disk that does not answer never comes."""

WAITING = 1_024
"""Questions that may wait. Whoever comes on top of them is told so at once."""

SLICE = 16
"""Documents computed before waiting questions are looked at again."""

Work = Callable[[Embedder], Vector]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A question, or other work with the model, and where its vectors are awaited."""

    text: str | None
    work: Work | None = None
    answer: Future[Vector] = field(default_factory=Future)


class SharedEmbedder:
    """An `Embedder` safe to use from any number of threads.

    A thread of its own opens the model and is the only one to use it, so nobody waits for a lock while holding
    another. It takes what waits when it comes free: a question alone is computed at once, a burst in one call.
    """

    def __init__(self, opened: Callable[[], Embedder]) -> None:
        """Use the model that `opened` gives, asked for once, in the thread that computes."""
        self._opened = opened
        self._model: Embedder | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def identity(self) -> ModelIdentity:
        """What the vectors depend on; the model is opened for it.

        Raises:
            ModelNotFound: If it is not there.
        """
        return self._opened_model().identity

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, safe to use from any thread."""
        return self._opened_model().tokenizer

    @property
    def waiting(self) -> int:
        """About how many questions wait to be computed."""
        return self._jobs.qsize()

    def within(self, patience: timedelta) -> QuestionEmbedder:
        """The same model for those who cannot wait: what takes longer raises `EmbedderUnavailable`."""
        return _Impatient(self, patience)

    @property
    def inner(self) -> int:
        """How many numbers of an inner layer a message's vector has."""
        return self._opened_model().inner

    def encode_query(self, text: str, *, patience: timedelta | None = None) -> Vector:
        """The vector of a question, shape `(dimension,)`, float32.

        Raises:
            EmbedderUnavailable: If too many wait, it was closed, or `patience` came to its end.
        """
        return self.encode_message(text, patience=patience)[: self.identity.dimension]

    def encode_message(self, text: str, *, patience: timedelta | None = None) -> Vector:
        """The vector of a question with its inner part, shape `(dimension + inner,)`, float32.

        Raises:
            EmbedderUnavailable: If too many wait, it was closed, or `patience` came to its end.
        """
        return self.begin_message(text, patience=patience)()

    def begin_message(self, text: str, *, patience: timedelta | None = None) -> Callable[[], Vector]:
        """Have a message computed, and go on meanwhile; what is returned waits for its vector when it is called.

        Raises:
            EmbedderUnavailable: As `encode_message`, at once or when called. `patience` counts from now.
        """
        until = None if patience is None else time.monotonic() + patience.total_seconds()
        job = _Job(text)
        self._put(job)
        time.sleep(0)  # the thread that computes begins now, and not when this one first waits
        return lambda: _await(job, until, patience)

    def encode_messages(self, texts: Sequence[str], *, patience: timedelta | None = None) -> Vector:
        """Vectors of messages, shape `(len(texts), dimension + inner)`, with others' questions in between."""
        return self._in_slices(texts, lambda part: lambda model: model.encode_messages(part), patience)

    def encode_queries(self, texts: Sequence[str], *, patience: timedelta | None = None) -> Vector:
        """Vectors of questions, shape `(len(texts), dimension)`, with others' questions in between."""
        return self._in_slices(texts, lambda part: lambda model: model.encode_queries(part), patience)

    def encode_documents(self, texts: Sequence[str], *, patience: timedelta | None = None) -> Vector:
        """Vectors of documents, shape `(len(texts), dimension)`, with others' questions in between."""
        return self._in_slices(texts, lambda part: lambda model: model.encode_documents(part), patience)

    def close(self) -> None:
        """End the thread once it has done what waits, or leave it where it hangs; later calls are refused."""
        with self._lock:
            self._closed = True
            if self._thread is not None:
                self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(FAREWELL_SECONDS)

    def open(self, patience: timedelta | None = None) -> None:
        """Have the model opened, and wait for it that long.

        Raises:
            EmbedderUnavailable: If it takes longer.
            ModelNotFound: If it is not there.
        """
        if self._model is None:
            self._wait(_Job(None, lambda _: np.empty(0, np.float32)), patience)

    def open_soon(self) -> Future[Vector]:
        """Have the model opened while nobody waits for it. What comes of it is told to who looks.

        Raises:
            EmbedderUnavailable: If it was closed.
        """
        return self._put(_Job(None, lambda _: np.empty(0, np.float32)))

    def _opened_model(self) -> Embedder:
        if self._model is None:
            self.open()
        assert self._model is not None  # noqa: S101 - opening raises or succeeds
        return self._model

    def _in_slices(
        self, texts: Sequence[str], work: Callable[[Sequence[str]], Work], patience: timedelta | None
    ) -> Vector:
        """The rows of many texts, some at a time."""
        parts = [texts[start : start + SLICE] for start in range(0, max(len(texts), 1), SLICE)]
        return np.concatenate([self._wait(_Job(None, work(part)), patience) for part in parts])

    def _wait(self, job: _Job, patience: timedelta | None) -> Vector:
        until = None if patience is None else time.monotonic() + patience.total_seconds()
        self._put(job)
        return _await(job, until, patience)

    def _put(self, job: _Job) -> Future[Vector]:
        if self._jobs.qsize() >= WAITING:
            raise EmbedderUnavailable(problem="too many questions wait for it")
        with self._lock:
            if self._closed:
                raise EmbedderUnavailable(problem="it was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._compute, name="embedding", daemon=True)
                self._thread.start()
            self._jobs.put(job)
        return job.answer

    def _compute(self) -> None:
        """Serve until closed."""
        while True:
            batch = [self._jobs.get()]
            while len(batch) < TOGETHER and not self._jobs.empty():
                batch.append(self._jobs.get())
            jobs = [job for job in batch if job is not None and job.answer.set_running_or_notify_cancel()]
            if jobs and (model := self._model or self._open_for(jobs)) is not None:
                self._model = model
                _answer(jobs, model)
            if None in batch:
                return

    def _open_for(self, jobs: Sequence[_Job]) -> Embedder | None:
        """The model; where it cannot be opened, everybody who waits learns why, and the next to come tries again."""
        try:
            return self._opened()
        except Exception as error:  # noqa: BLE001 - whatever went wrong is told to those who asked
            for job in jobs:
                job.answer.set_exception(error)
            return None


class _Impatient:
    """A `SharedEmbedder` whose every call has an end."""

    def __init__(self, shared: SharedEmbedder, patience: timedelta) -> None:
        self._shared = shared
        self._patience = patience

    @property
    def identity(self) -> ModelIdentity:
        """What the vectors depend on."""
        self._shared.open(self._patience)
        return self._shared.identity

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        self._shared.open(self._patience)
        return self._shared.tokenizer

    def encode_query(self, text: str) -> Vector:
        """The vector of a question, in time."""
        return self._shared.encode_query(text, patience=self._patience)

    def begin_message(self, text: str) -> Callable[[], Vector]:
        """Have a message computed, and go on meanwhile; in time, counted from now."""
        return self._shared.begin_message(text, patience=self._patience)

    @property
    def inner(self) -> int:
        """How many numbers of an inner layer a message's vector has."""
        self._shared.open(self._patience)
        return self._shared.inner

    def encode_message(self, text: str) -> Vector:
        """The vector of a question with its inner part, in time."""
        return self._shared.encode_message(text, patience=self._patience)

    def encode_messages(self, texts: Sequence[str]) -> Vector:
        """Vectors of messages, some at a time, each time in time."""
        return self._shared.encode_messages(texts, patience=self._patience)

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of questions, some at a time, each time in time."""
        return self._shared.encode_queries(texts, patience=self._patience)

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of documents, some at a time, each time in time."""
        return self._shared.encode_documents(texts, patience=self._patience)


def _await(job: _Job, until: float | None, patience: timedelta | None) -> Vector:
    """Its vector, if it comes in time."""
    try:
        return job.answer.result(None if until is None else max(until - time.monotonic(), 0.0))
    except NotInTime as error:
        if not job.answer.cancel() and job.answer.done():
            return job.answer.result()
        assert patience is not None  # noqa: S101 - only then is there an end to the waiting
        raise EmbedderUnavailable(problem=f"no answer in {patience.total_seconds():g} s") from error


def _answer(jobs: Sequence[_Job], model: Embedder) -> None:
    """Compute the questions together and the rest one by one; what fails fails for whoever asked it."""
    questions = [job for job in jobs if job.text is not None]
    if len(questions) > 1 and _together(questions, model):
        questions = []
    for job in [*questions, *(job for job in jobs if job.text is None)]:
        try:
            vector = model.encode_message(job.text) if job.work is None else job.work(model)  # type: ignore[arg-type] # a job has one of the two
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, and the thread goes on
            job.answer.set_exception(error)
        else:
            job.answer.set_result(vector)


def _together(questions: Sequence[_Job], model: Embedder) -> bool:
    """Whether all questions could be answered in one call. The same question is computed once."""
    texts = list(dict.fromkeys(str(job.text) for job in questions))
    try:
        vectors = dict(zip(texts, model.encode_messages(texts), strict=True))
    except Exception:  # noqa: BLE001 - one of them is at fault: asked alone, each gets what is its own
        return False
    for job in questions:
        job.answer.set_result(vectors[str(job.text)])
    return True
