"""What a responder may ask with, and how what it may not is refused."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidQuestion
from pipeline.model import SearchFilter
from pipeline.retrieval.follow_up import Turn
from pipeline.services.questions import Question, check
from pipeline.settings import RetrieveSettings

SETTINGS = RetrieveSettings()

REFUSED: dict[str, dict[str, Any]] = {
    "message": {"message": "x" * 100_000},
    "message: 0 characters": {"message": " \n "},
    "message: given None": {"message": None},
    "top_k: nan": {"top_k": float("nan")},
    "top_k: True": {"top_k": True},
    "top_k: 1.5": {"top_k": 1.5},
    "top_k: 51": {"top_k": 51},
    "max_tokens: inf": {"max_tokens": float("inf")},
    "max_tokens: 0": {"max_tokens": 0},
    "channel: pigeon": {"channel": "pigeon"},
    "language: x": {"language": "x"},
    "language: klingon!": {"language": "klingon!"},
    "segments": {"segments": ("s",) * 101},
    "history[0].role": {"history": (Turn("robot", "Hi"),)},
    "history[1].content": {"history": (Turn("user", "Hi"), Turn("user", "\ud83d"))},
    "filters.url_prefix": {"where": SearchFilter(url_prefix="javascript:alert(1)")},
    "filters.url_prefix: https://a b/c": {"where": SearchFilter(url_prefix="https://a b/c")},
    "filters.languages": {"where": SearchFilter(languages=frozenset({"'"}))},
    "filters.datasource_ids": {"where": SearchFilter(datasource_ids=frozenset(uuid4() for _ in range(101)))},
    "filters.fetched_after": {"where": SearchFilter(fetched_after=datetime(2026, 1, 1))},  # noqa: DTZ001 - what is refused
}


@pytest.mark.parametrize("named", REFUSED)
def test_a_field_that_cannot_be_answered_with_is_named(named: str) -> None:
    """With what was given and what is allowed, in a line that a person reads."""
    fields = {"message": "Hello", **REFUSED[named]}

    with pytest.raises(InvalidQuestion) as refused:
        check(Question(**fields), SETTINGS)

    assert refused.value.facts["field"] == named.split(":", maxsplit=1)[0]
    assert len(str(refused.value)) < 300
    assert re.search("allowed: |problem: ", str(refused.value))


def test_what_a_question_leaves_open_is_taken_from_the_settings() -> None:
    """Numbers, and no filter."""
    asked = check(Question("Hello"), SETTINGS)

    assert (asked.top_k, asked.max_tokens) == (SETTINGS.top_k, SETTINGS.max_tokens)
    assert asked.where == SearchFilter()


def test_a_long_conversation_can_go_on() -> None:
    """Its last hundred turns are used, and of each the first 8,000 characters."""
    turns = tuple(Turn("user", f"{number} {'x' * 9_000}") for number in range(150))

    asked = check(Question("Hello", history=turns), SETTINGS)

    assert [turn.content.split()[0] for turn in asked.history] == [str(number) for number in range(50, 150)]
    assert {len(turn.content) for turn in asked.history} == {8_000}


def test_a_filter_is_compared_as_pages_are_stored() -> None:
    """A language without its country and in small letters, an address as addresses are spelled."""
    where = SearchFilter(languages=frozenset({"pt-BR", "EN", "en_US"}), url_prefix="HTTPS://SHOP.example:443/Help")

    asked = check(Question("Hello", where=where), SETTINGS)

    assert asked.where == SearchFilter(languages=frozenset({"pt", "en"}), url_prefix="https://shop.example/Help")


@given(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none()),
    st.one_of(st.text(), st.characters(categories=["Cs"]), st.binary(), st.none()),
)
def test_nothing_but_a_refusal_comes_of_a_wild_question(number: Any, text: Any) -> None:  # noqa: ANN401 - that is the point
    """Whatever is given, it is checked or refused."""
    try:
        asked = check(Question(text, top_k=number, max_tokens=number), SETTINGS)
    except InvalidQuestion:
        return

    assert 1 <= asked.top_k <= 50
    assert asked.message.strip()
