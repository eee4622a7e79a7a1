"""Golden questions as a file: YAML or CSV, as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.errors import InvalidGoldenQuestion, InvalidUrl
from pipeline.retrieval.scoring import Expected
from pipeline.services.questions import MESSAGE_LIMIT, TURNS
from pipeline.services.tabular import InvalidTable, read_rows
from pipeline.urls import url_key

LISTS = ("before", "urls", "texts")
NAMES = {
    "question": "question",
    "message": "question",
    "url": "urls",
    "urls": "urls",
    "text": "texts",
    "texts": "texts",
    "before": "before",
    "scenario": "scenario",
    "no_answer": "no_answer",
}
"""The fields of a file, in the singular or the plural."""

EXPECTED_LIMIT = 50
TEXT_LIMIT = 2_000
TRUTHS: Mapping[object, bool] = {
    **dict.fromkeys(("yes", "true", "1"), True),
    **dict.fromkeys(("no", "false", "0", ""), False),
}


@dataclass(frozen=True, slots=True)
class NewGolden:
    """A question, what was said before it, and what a good answer has."""

    message: str
    expected: Expected
    before: tuple[str, ...] = ()


def read(text: str, form: Literal["yaml", "csv"]) -> list[NewGolden]:
    """The questions that a file holds.

    Raises:
        InvalidGoldenQuestion: If it cannot be read, naming the place.
    """
    try:
        rows = read_rows(text, form)
    except InvalidTable as error:
        raise InvalidGoldenQuestion(problem=str(error)) from error
    return [_golden(row, place) for place, row in enumerate(rows, start=1)]


def check(new: NewGolden, *, place: int | None = None) -> NewGolden:
    """The question, if it can be asked and scored; a scenario without a title is none.

    Raises:
        InvalidGoldenQuestion: Naming what is wrong with it, and its place in a file.
    """
    expected = replace(new.expected, scenario=(new.expected.scenario or "").strip() or None)
    where = {} if place is None else {"question": place}
    if not new.message.strip() or len(new.message) > MESSAGE_LIMIT:
        raise InvalidGoldenQuestion(**where, field="question", allowed=f"1 to {MESSAGE_LIMIT} characters")
    if len(new.before) > TURNS or any(len(turn) > MESSAGE_LIMIT for turn in new.before):
        raise InvalidGoldenQuestion(**where, field="before", allowed=f"{TURNS} turns of {MESSAGE_LIMIT} characters")
    wants = bool(expected.urls or expected.texts)
    if not (wants or expected.scenario or expected.no_answer):
        raise InvalidGoldenQuestion(
            **where, problem="nothing is expected of it: give urls, texts, a scenario, or no_answer"
        )
    if expected.no_answer and wants:
        raise InvalidGoldenQuestion(**where, field="no_answer", problem="it has pages or words to be found as well")
    for name, given in (("urls", expected.urls), ("texts", expected.texts)):
        if len(given) > EXPECTED_LIMIT or any(not one.strip() or len(one) > TEXT_LIMIT for one in given):
            allowed = f"{EXPECTED_LIMIT} of 1 to {TEXT_LIMIT} characters"
            raise InvalidGoldenQuestion(**where, field=name, allowed=allowed)
    for url in expected.urls:
        try:
            url_key(url)
        except InvalidUrl as error:
            raise InvalidGoldenQuestion(**where, field="urls", given=url, problem="it is no address") from error
    return replace(new, expected=expected)


def _golden(row: object, place: int) -> NewGolden:
    if not isinstance(row, dict):
        raise InvalidGoldenQuestion(question=place, problem="it is not a list of fields and values")
    fields: dict[str, object] = {}
    for name, value in row.items():
        known = NAMES.get(str(name).strip().lower())
        if known is None:
            raise InvalidGoldenQuestion(question=place, field=name, problem="there is no such field")
        if value not in (None, ""):
            fields[known] = _listed(value) if known in LISTS else value
    for name in ("question", "scenario"):
        if name in fields and not isinstance(fields[name], str):
            raise InvalidGoldenQuestion(question=place, field=name, problem="it is not text; put it into quotes")
    for name in LISTS:
        if not _are_texts(fields.get(name, ())):
            raise InvalidGoldenQuestion(question=place, field=name, problem="it is not a list of texts")
    refusal = fields.get("no_answer", False)
    is_refusal = refusal if isinstance(refusal, bool) else TRUTHS.get(str(refusal).strip().lower())
    if is_refusal is None:
        raise InvalidGoldenQuestion(question=place, field="no_answer", problem="it is neither yes nor no")
    new = NewGolden(
        message=str(fields.get("question", "")),
        before=tuple(fields.get("before", ())),  # type: ignore[arg-type] # texts, as was just seen
        expected=Expected(
            urls=tuple(fields.get("urls", ())),  # type: ignore[arg-type] # as above
            texts=tuple(fields.get("texts", ())),  # type: ignore[arg-type] # as above
            scenario=str(fields["scenario"]).strip() if "scenario" in fields else None,
            no_answer=is_refusal,
        ),
    )
    return check(new, place=place)


def _listed(value: object) -> object:
    """One text as a list of its lines, as a spreadsheet's cell has them."""
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else value


def _are_texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
