"""Questions: what a responder may ask with, and what is wrong with one that cannot be answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from pipeline.errors import InvalidQuestion, InvalidUrl
from pipeline.model import Channel, SearchFilter
from pipeline.retrieval.follow_up import Role, Turn
from pipeline.retrieval.languages import base
from pipeline.settings import RetrieveSettings
from pipeline.urls import beginning

MESSAGE_LIMIT = 8_000
"""Characters of a message, and of a turn before it that are used."""

TURNS = 100
"""Turns of a conversation that are used: the last ones."""

A_PREFIX = "the beginning of a URL, such as https://shop.example/help/"

SEGMENTS = 100
NAME_LIMIT = 200
"""Characters of a segment's name."""

TOP_K_LIMIT = 50
TOKENS_FLOOR, TOKENS_CEILING = 100, 200_000
FILTER_LIMIT = 100
URL_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """What the responder asks with. `top_k` and `max_tokens` fall back to the settings.

    Without a channel, or without segments, what is restricted to some does not apply. `language` is the customer's,
    where it is known; else it is told from the message. `trace` asks for the reasons with the answer: they are
    stored in any case.
    """

    message: str
    top_k: int | None = None
    max_tokens: int | None = None
    where: SearchFilter | None = None
    channel: str | None = None
    segments: tuple[str, ...] = ()
    history: tuple[Turn, ...] = ()
    language: str | None = None
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was checked, with every number in it."""

    message: str
    top_k: int
    max_tokens: int
    where: SearchFilter = field(default_factory=SearchFilter)
    channel: str | None = None
    segments: tuple[str, ...] = ()
    history: tuple[Turn, ...] = ()
    language: str | None = None

    def told(self) -> dict[str, object]:
        """The question as a trace repeats it."""
        where = self.where
        return {
            "message": self.message,
            "channel": self.channel,
            "segments": list(self.segments),
            "language": self.language,
            "turns": len(self.history),
            "filters": {
                "datasource_ids": sorted(map(str, where.datasource_ids)),
                "languages": sorted(where.languages),
                "url_prefix": where.url_prefix,
                "fetched_after": None if where.fetched_after is None else where.fetched_after.isoformat(),
            },
        }


def check(question: Question, settings: RetrieveSettings) -> Asked:
    """The question with what it left open filled in.

    Raises:
        InvalidQuestion: Naming the field, what was given and what is allowed.
    """
    _check_text("message", question.message, most=MESSAGE_LIMIT)
    _check_number("top_k", question.top_k, least=1, most=TOP_K_LIMIT)
    _check_number("max_tokens", question.max_tokens, least=TOKENS_FLOOR, most=TOKENS_CEILING)
    if question.channel is not None and question.channel not in set(Channel):
        raise InvalidQuestion(field="channel", given=_shown(question.channel), allowed=", ".join(Channel))
    _check_count("segments", question.segments, most=SEGMENTS)
    for segment in question.segments:
        _check_text("segments", segment, most=NAME_LIMIT)
    _check_language("language", question.language)
    return Asked(
        message=question.message,
        top_k=settings.top_k if question.top_k is None else question.top_k,
        max_tokens=settings.max_tokens if question.max_tokens is None else question.max_tokens,
        where=_where(question.where or SearchFilter()),
        channel=question.channel,
        segments=question.segments,
        history=_heard(question.history),
        language=question.language,
    )


def check_query(query: object) -> None:
    """Refuse words that nothing can be looked for with.

    Raises:
        InvalidQuestion: Naming what was given and what is allowed.
    """
    _check_text("query", query, most=MESSAGE_LIMIT)


def check_datasources(where: SearchFilter, known: Sequence[UUID]) -> None:
    """Refuse a filter for websites that the org does not have: an empty answer would look like ignorance.

    Raises:
        InvalidQuestion: Naming the first of them.
    """
    for unknown in sorted(where.datasource_ids - set(known)):
        raise InvalidQuestion(field="filters.datasource_ids", given=unknown, allowed="datasources of this org")


def _heard(history: Sequence[Turn]) -> tuple[Turn, ...]:
    """The last turns of a conversation, of each the beginning: however long it was, it can go on."""
    for number, turn in enumerate(history):
        if turn.role not in set(Role):
            given, allowed = _shown(turn.role), ", ".join(Role)
            raise InvalidQuestion(field=f"history[{number}].role", given=given, allowed=allowed)
        _check_text(f"history[{number}].content", turn.content, most=None, may_be_empty=True)
    return tuple(replace(turn, content=turn.content[:MESSAGE_LIMIT]) for turn in history[-TURNS:])


def _where(where: SearchFilter) -> SearchFilter:
    """The filter as pages are stored: languages without their countries, an address as addresses are spelled."""
    _check_filter(where)
    prefix = where.url_prefix
    try:
        prefix = None if prefix is None else beginning(prefix)
    except InvalidUrl as error:
        raise InvalidQuestion(field="filters.url_prefix", given=_shown(prefix), allowed=A_PREFIX) from error
    return replace(where, languages=frozenset(map(base, where.languages)), url_prefix=prefix)


def _check_filter(where: SearchFilter) -> None:
    _check_count("filters.datasource_ids", where.datasource_ids, most=FILTER_LIMIT)
    _check_count("filters.languages", where.languages, most=FILTER_LIMIT)
    for language in where.languages:
        _check_language("filters.languages", language)
    if where.url_prefix is not None:
        _check_text("filters.url_prefix", where.url_prefix, most=URL_LIMIT)
        if not where.url_prefix.lower().startswith(("http://", "https://")):
            raise InvalidQuestion(field="filters.url_prefix", given=_shown(where.url_prefix), allowed=A_PREFIX)
    if where.fetched_after is not None and (
        not isinstance(where.fetched_after, datetime) or where.fetched_after.tzinfo is None
    ):
        given, allowed = _shown(where.fetched_after), "a moment with its time zone"
        raise InvalidQuestion(field="filters.fetched_after", given=given, allowed=allowed)


def _check_text(field: str, text: object, *, most: int | None, may_be_empty: bool = False) -> None:
    if not isinstance(text, str):
        raise InvalidQuestion(field=field, given=_shown(text), allowed="a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidQuestion(field=field, problem="it holds half a character (a lone surrogate)") from error
    least = 0 if may_be_empty else 1
    length = len(text) if text.strip() else 0
    if length < least or (most is not None and length > most):
        raise InvalidQuestion(field=field, given=f"{length} characters", allowed=f"{least} to {most}")


def _check_number(field: str, number: object, *, least: int, most: int) -> None:
    """A whole number within bounds: a fraction, a truth value and what is not a number at all are none."""
    if number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise InvalidQuestion(field=field, given=_shown(number), allowed=f"a whole number from {least} to {most}")


def _check_count(field: str, items: Sequence[object] | frozenset[object], *, most: int) -> None:
    if len(items) > most:
        raise InvalidQuestion(field=field, given=f"{len(items)} of them", allowed=f"at most {most}")


def _check_language(field: str, code: object) -> None:
    if code is None:
        return
    parts = code.replace("_", "-").split("-") if isinstance(code, str) and code.isascii() else [""]
    if not (2 <= len(parts[0]) <= 3 and parts[0].isalpha() and all(part.isalnum() for part in parts)):  # noqa: PLR2004 - ISO 639
        raise InvalidQuestion(field=field, given=_shown(code), allowed="a language code such as en or pt-BR")


def _shown(given: object) -> str:
    """What was given, short enough to be read."""
    text = str(given)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line
