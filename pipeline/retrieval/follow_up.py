"""Follow-ups: a message that leans on what was said before is searched for together with it.

No model rewrites the message. Its vector is moved towards what the customer said before, the latest counting most, and
the words of that and of the agent's last answer are searched for as well, with less weight than its own. How far
depends on how much the message needs it: one of few words, or one about the same, takes it whole; a new question of
many words hardly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.model import SparseVector, Vector

TURNS = 6
"""Turns of the customer that are looked at."""

FADING = 0.8
"""What a turn weighs beside the one after it."""

MEANING, WORDS, AGENTS_WORDS = 0.7, 0.4, 0.2
"""The most that what was said weighs beside the message: in its vector, in its words, and in those of the agent."""

FEW, MANY = 2, 7
"""Terms of a message that surely leans on what was said, and of one that may stand alone."""

APART, ALIKE = 0.1, 0.4
"""The cosine between message and conversation that says another subject, and the same."""

LEAST = 0.2
"""How far even a new question takes the conversation along."""


class Role(StrEnum):
    """Who said something in a conversation. Only the customer and the agent are listened to."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said before the message that is asked now."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Before:
    """What was said before a message: the customer's turns and the agent's last, the latest first."""

    said: tuple[str, ...]
    answer: str | None


@dataclass(frozen=True, slots=True)
class Sought:
    """What is searched for, by words alone without a vector; `leaning` is how far the conversation counts, 0 to 1."""

    dense: Vector | None
    sparse: SparseVector
    leaning: float = 0.0


def before(history: Sequence[Turn], message: str) -> Before:
    """What of a conversation counts. A last turn that repeats the message is the message, and does not."""
    turns = list(history)
    if turns and turns[-1].role == Role.USER and turns[-1].content.strip() == message.strip():
        turns.pop()
    said = [turn.content for turn in reversed(turns) if turn.role == Role.USER and turn.content.strip()]
    answers = (turn.content for turn in reversed(turns) if turn.role == Role.ASSISTANT and turn.content.strip())
    return Before(tuple(said[:TURNS]), next(answers, None))


def resolve(
    vector: Vector,
    terms: SparseVector,
    *,
    said: Vector,
    said_terms: Sequence[SparseVector],
    answer: SparseVector | None,
) -> Sought:
    """The message with as much of the conversation as it needs.

    Args:
        vector: The message's, of length 1.
        terms: The message's.
        said: Vectors of the customer's turns, the latest first, shape `(turns, dimension)`.
        said_terms: Terms of the same turns.
        answer: Terms of the agent's last turn.
    """
    if not len(said):
        return Sought(vector, terms)
    fading = np.array([FADING**place for place in range(len(said))], np.float32)
    subject = fading @ said
    length = float(np.linalg.norm(subject))
    subject = subject / length if length > 0 else subject
    leaning = how_far(terms, likeness=float(vector @ subject))
    moved = vector + np.float32(leaning * MEANING) * subject
    moved = (moved / np.linalg.norm(moved)).astype(np.float32)
    weights: dict[int, float] = {}
    for place, turn in enumerate(said_terms):
        _raise(weights, turn, leaning * WORDS * FADING**place)
    if answer is not None:
        _raise(weights, answer, leaning * AGENTS_WORDS)
    _raise(weights, terms, 1.0)
    indices = tuple(sorted(weights))
    return Sought(moved, SparseVector(indices, tuple(weights[index] for index in indices)), round(leaning, 4))


def how_far(terms: SparseVector, *, likeness: float) -> float:
    """How much of the conversation a message takes along, from `LEAST` to 1."""
    short = (MANY - len(terms.indices)) / (MANY - FEW)
    alike = (likeness - APART) / (ALIKE - APART)
    return LEAST + (1 - LEAST) * min(max(short, alike, 0.0), 1.0)


def _raise(weights: dict[int, float], terms: SparseVector, weight: float) -> None:
    """Give each term at least this weight."""
    for index in terms.indices:
        weights[index] = max(weights.get(index, 0.0), weight)
