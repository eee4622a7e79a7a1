"""The matcher: which of an org's scenarios a message means, learnt from the org's own triggers.

Four kinds of evidence are added up for each scenario: the nearest trigger, the mean of its triggers, a linear
discriminant between all scenarios, and shared words. A text is seen as its vector and, where the model shows it, as
what an inner layer made of it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Vector
from pipeline.retrieval.calibration import Calibration, calibrate
from pipeline.retrieval.discriminant import Discriminant, discriminate, left_out
from pipeline.retrieval.lexicon import Lexicon, learn_words

NEAREST, CENTRE, DISCRIMINANT, WORDS = 0.21, 0.29, 0.30, 0.20
"""How much each kind of evidence weighs: they add up to 1. Chosen on development messages of two sets."""

INNER = 0.7
"""Length of the inner part of what is seen, beside 1 for the vector."""

SAMPLE = 400
"""Triggers left out to calibrate; more only take longer."""

TOO_ALIKE = 0.6
"""Cosine to a trigger from which a background question may be the org's own subject after all."""

ROWS = 512
"""Triggers compared at a time."""

MESSAGES = 64
"""Messages compared at a time, each with every trigger: 2.5 MB for 10,000 of them."""

FORMAT = "2"
"""Changes when a stored matcher can no longer be read, or would be learnt otherwise."""


@dataclass(frozen=True, slots=True)
class Taught:
    """One published scenario, as the matcher learns it: its texts (the title first) and their vectors as messages."""

    version_id: UUID
    texts: Sequence[str]
    vectors: Vector


@dataclass(frozen=True, slots=True)
class Background:
    """Questions that belong to nobody, and their vectors as messages, shape `(questions, dimension + inner)`."""

    texts: Sequence[str]
    vectors: Vector


@dataclass(frozen=True, slots=True)
class Matcher:
    """What was learnt. The triggers of one scenario are neighbours and begin at `firsts[scenario]`.

    `origin`, of shape `(inner,)`, is what the inner parts of all texts have in common.
    """

    versions: tuple[UUID, ...]
    origin: Vector
    triggers: Vector
    firsts: NDArray[np.int32]
    centres: Vector
    directions: Vector
    offsets: Vector
    lexicon: Lexicon
    calibration: Calibration

    @property
    def meanings(self) -> Vector:
        """The triggers' own vectors, shape `(triggers, dimension)`."""
        vectors: Vector = self.triggers[:, : self.triggers.shape[1] - len(self.origin)]
        return vectors * np.float32(_length(len(self.origin)))

    def see(self, message: Vector) -> Vector:
        """What the matcher sees in a message, of length 1; triggers are kept as they are seen.

        Args:
            message: As `Embedder.encode_message` gives it.
        """
        seen: Vector = _see(message[None], self.origin)[0]
        return seen

    def scores(self, seen: Vector, text: str) -> Vector:
        """The evidence for each scenario, shape `(scenarios,)`: about 1 for a trigger's own words, about 0 for others.

        Args:
            seen: What is seen in the message.
            text: Its words.
        """
        if not self.versions:
            return np.empty(0, np.float32)
        return _sum(
            nearest=np.maximum.reduceat(_cosines(self.triggers, seen), self.firsts),
            centre=self.centres @ seen,
            linear=self.directions @ seen + self.offsets,
            words=np.maximum.reduceat(self.lexicon.likeness(text), self.firsts),
        )

    def best_scores(self, seen: Vector, texts: Sequence[str]) -> Vector:
        """The best of each message's `scores`, shape `(messages,)`; many at a time cost a fraction of one by one."""
        best = [
            _sum(
                nearest=np.maximum.reduceat(some @ self.triggers.T, self.firsts, axis=1),
                centre=some @ self.centres.T,
                linear=some @ self.directions.T + self.offsets,
                words=np.maximum.reduceat(self.likeness(texts[start : start + MESSAGES]), self.firsts, axis=1),
            ).max(axis=1)
            for start in range(0, len(texts), MESSAGES)
            for some in (seen[start : start + MESSAGES],)
        ]
        return np.concatenate([*best, np.empty(0, np.float32)])

    def likeness(self, texts: Sequence[str]) -> Vector:
        """The words each text shares with each trigger, shape `(texts, triggers)`."""
        return np.stack([self.lexicon.likeness(text) for text in texts])

    def dump(self) -> bytes:
        """Everything as one archive of arrays."""
        words, chosen = self.lexicon, self.calibration
        with io.BytesIO() as file:
            np.savez(
                file,
                versions=np.frombuffer(b"".join(version.bytes for version in self.versions), np.uint8),
                origin=self.origin,
                triggers=self.triggers,
                firsts=self.firsts,
                centres=self.centres,
                directions=self.directions,
                offsets=self.offsets,
                pieces=words.pieces,
                rarity=words.rarity,
                starts=words.starts,
                rows=words.rows,
                weights=words.weights,
                calibration=np.array([chosen.threshold, chosen.unsure_from, chosen.margin]),
            )
            return file.getvalue()


def load(state: bytes) -> Matcher:
    """A matcher as it was dumped; nothing in it is run."""
    with np.load(io.BytesIO(state), allow_pickle=False) as parts:
        raw = parts["versions"].tobytes()
        triggers = parts["triggers"]
        words = Lexicon(
            parts["pieces"], parts["rarity"], parts["starts"], parts["rows"], parts["weights"], len(triggers)
        )
        return Matcher(
            versions=tuple(UUID(bytes=raw[at : at + 16]) for at in range(0, len(raw), 16)),
            origin=parts["origin"],
            triggers=triggers,
            firsts=parts["firsts"],
            centres=parts["centres"],
            directions=parts["directions"],
            offsets=parts["offsets"],
            lexicon=words,
            calibration=Calibration(*parts["calibration"].tolist()),
        )


def learn(taught: Sequence[Taught], background: Background, *, inner: int = 0) -> Matcher:
    """Learn from every published scenario of an org, and find where to fire.

    Args:
        taught: The scenarios.
        background: What belongs to none of them.
        inner: How many of the last numbers of each vector are of an inner layer.
    """
    if not taught:
        none, never = np.empty((0, 0), np.float32), np.empty(0, np.float32)
        nothing = calibrate(none, np.empty(0, np.int32), np.empty(0))
        return Matcher((), never, none, np.empty(0, np.int32), none, none, never, learn_words([]), nothing)
    counts = np.array([len(scenario.texts) for scenario in taught], np.int32)
    firsts = (np.cumsum(counts) - counts).astype(np.int32)
    owner = np.repeat(np.arange(len(taught), dtype=np.int32), counts)
    messages = np.concatenate([scenario.vectors for scenario in taught]).astype(np.float32)
    common = background.vectors if len(background.texts) else messages
    origin = common[:, messages.shape[1] - inner :].mean(axis=0).astype(np.float32)
    triggers = _see(messages, origin)
    sums = np.add.reduceat(triggers, firsts, axis=0)
    learnt = discriminate(triggers, owner, (sums / counts[:, None]).astype(np.float32))
    texts = [text for scenario in taught for text in scenario.texts]
    uncalibrated = Matcher(
        versions=tuple(scenario.version_id for scenario in taught),
        origin=origin,
        triggers=triggers,
        firsts=firsts,
        centres=unit(sums),
        directions=learnt.directions,
        offsets=learnt.offsets,
        lexicon=learn_words(texts),
        calibration=Calibration(1.0, 1.0, 0.0),
    )
    tried = _tried(counts, firsts)
    scores = _left_out(uncalibrated, learnt, tried, texts=texts, owner=owner, counts=counts)
    return replace(uncalibrated, calibration=calibrate(scores, owner[tried], _far(uncalibrated, background)))


def _see(messages: Vector, origin: Vector) -> Vector:
    """Rows of length 1: the vectors, and the inner parts less what all texts have in common."""
    if not len(origin):
        return messages
    outer = messages[:, : messages.shape[1] - len(origin)]
    inner = unit(messages[:, outer.shape[1] :] - origin)
    seen: Vector = np.hstack([outer, np.float32(INNER) * inner]).astype(np.float32)
    seen /= np.float32(_length(len(origin)))
    return seen


def _length(inner: int) -> float:
    """Of a vector with its inner part."""
    return math.sqrt(1 + INNER**2) if inner else 1.0


def unit(vectors: Vector) -> Vector:
    """Rows brought to length 1; a row without length stays zero."""
    scaled: Vector = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return scaled


def _cosines(vectors: Vector, vector: Vector) -> Vector:
    """The product of many vectors with one, in pieces small enough for one thread.

    From some 1,200 rows up the linear algebra library calls more threads, and where the processors are busy it waits
    for them: 17 ms instead of 0.04.
    """
    products = [vectors[start : start + ROWS] @ vector for start in range(0, len(vectors), ROWS)]
    whole: Vector = np.concatenate(products)
    return whole


def _sum(*, nearest: Vector, centre: Vector, linear: Vector, words: Vector) -> Vector:
    total: Vector = (NEAREST * nearest + CENTRE * centre + DISCRIMINANT * linear + WORDS * words).astype(np.float32)
    return total


def _tried(counts: NDArray[np.int32], firsts: NDArray[np.int32]) -> NDArray[np.intp]:
    """Rows to leave out: triggers of scenarios that have others. A title is a name, so it counts only where it must."""
    rows = [
        row
        for first, count in zip(firsts.tolist(), counts.tolist(), strict=True)
        for row in range(first + (count > 2), first + count)  # noqa: PLR2004 - two texts are a title and one trigger
        if count > 1
    ]
    step = max(len(rows) / SAMPLE, 1)
    return np.array([rows[int(at * step)] for at in range(int(len(rows) / step))], np.intp)


def _left_out(
    matcher: Matcher,
    learnt: Discriminant,
    tried: NDArray[np.intp],
    *,
    texts: Sequence[str],
    owner: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> Vector:
    """Scores of the tried triggers as if each had not been taught, shape `(tried, scenarios)`."""
    if not len(tried):
        return np.empty((0, len(matcher.versions)), np.float32)
    rows, own = np.arange(len(tried)), owner[tried]
    x, sizes = matcher.triggers[tried], counts[own]
    meaning = x @ matcher.triggers.T
    words = matcher.likeness([texts[row] for row in tried.tolist()])
    meaning[rows, tried] = words[rows, tried] = -1
    centre = x @ matcher.centres.T
    others = np.add.reduceat(matcher.triggers, matcher.firsts, axis=0)[own] - x
    centre[rows, own] = np.einsum("ij,ij->i", unit(others), x)
    return _sum(
        nearest=np.maximum.reduceat(meaning, matcher.firsts, axis=1),
        centre=centre,
        linear=left_out(learnt, x, own, sizes).astype(np.float32),
        words=np.maximum.reduceat(words, matcher.firsts, axis=1),
    )


def _far(matcher: Matcher, background: Background) -> Vector:
    """The best score of each background question; those that may be the org's own subject are set aside."""
    if not len(background.texts):
        return np.empty(0, np.float32)
    meanings = matcher.meanings
    nearest = (background.vectors[:, : meanings.shape[1]] @ meanings.T).max(axis=1)
    kept = np.flatnonzero(nearest < TOO_ALIKE)
    seen = _see(background.vectors[kept], matcher.origin)
    return matcher.best_scores(seen, [background.texts[row] for row in kept.tolist()])


UNTAUGHT = learn((), Background((), np.empty((0, 0), np.float32)))
"""A matcher that means nothing by anything."""
