"""Scenarios in files: what is written is read again, and what cannot be read says where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InvalidScenario
from pipeline.services.training_files import FIELDS, read, write


def _is_writable(text: str) -> bool:
    """Whether it says something and no half characters stand in it."""
    return bool(text.strip()) and text.encode("utf-8", "ignore").decode() == text


TEXT = st.text(min_size=1, max_size=25).filter(_is_writable)
MOMENTS = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))]),
)
ENTRIES = st.fixed_dictionaries(
    {
        "id": st.none() | st.uuids().map(str),
        "title": TEXT,
        "content": TEXT,
        "type": st.sampled_from(["BEHAVIORAL", "SCENARIO_SPECIFIC"]),
        "triggers": st.lists(TEXT, max_size=4).map(tuple),
        "is_draft": st.booleans(),
        "directory": st.none() | TEXT,
        "restricted_to_channels": st.lists(st.sampled_from(["web", "email"]), unique=True).map(tuple),
        "restricted_to_segments": st.lists(TEXT, max_size=2).map(tuple),
        "start_time": st.none() | MOMENTS,
        "end_time": st.none() | MOMENTS,
        "priority": st.integers(-9, 9),
        "metadata": st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT, max_size=2),
        "draft_title": st.none() | TEXT,
        "draft_content": st.none() | TEXT,
        "draft_triggers": st.none() | st.lists(TEXT, min_size=1, max_size=2).map(tuple),
    }
)
FORMS: tuple[Literal["yaml", "csv"], ...] = ("yaml", "csv")


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRIES, max_size=3), st.sampled_from(FORMS))
def test_what_is_written_is_read_again(entries: list[dict[str, Any]], form: Literal["yaml", "csv"]) -> None:
    """Every text, line break, quote, formula, time and list comes back as it was."""
    again = read(write(entries, form), form)

    assert again == entries


def test_a_person_names_only_what_matters() -> None:
    """A file of three columns, separated by semicolons, has no other fields."""
    entries = read("Title;content;triggers\r\nRefund;Offer a voucher.;money back\r\n;;\r\n", "csv")

    assert entries == [{"title": "Refund", "content": "Offer a voucher.", "triggers": ("money back",)}]


def test_a_spreadsheet_runs_no_cell() -> None:
    """A text that begins like a formula is written as text."""
    entry: dict[str, Any] = dict.fromkeys(FIELDS) | {
        "title": "=HYPERLINK(1)",
        "content": "'+1",
        "triggers": ["@a", "b"],
    }

    cells = write([entry], "csv").splitlines()[1]

    assert cells.startswith(",'=HYPERLINK(1),''+1,")
    assert "'@a" in cells


@pytest.mark.parametrize(
    ("text", "form", "names"),
    [
        ("title: Refund", "yaml", "list"),
        ("- [", "yaml", "not YAML"),
        ("- &a {title: x}\n- *a", "yaml", "aliases"),
        ("- !!python/object/apply:os.getcwd []", "yaml", "not YAML"),
        ("- just text", "yaml", "scenario: 1"),
        ("- {title: x, contents: y}", "yaml", "contents"),
        ("- {title: x}\n- {content: y}", "yaml", "scenario: 2, field: title"),
        ("- {title: x, triggers: [no]}", "yaml", "quotes"),
        ("- {title: 12}", "yaml", "quotes"),
        ("- {title: x, is_draft: maybe}", "yaml", "is_draft"),
        ("- {title: x, priority: true}", "yaml", "priority"),
        ("- {title: x, metadata: [1]}", "yaml", "metadata"),
        ("- {title: x, start_time: 2027-01-31}", "yaml", "zone"),
        ("- {title: x, start_time: soon}", "yaml", "zone"),
        ("title,triggers\nx,y,z\n", "csv", "more cells"),
        ('title,content\nx,"y\n', "csv", "not CSV"),
        ("title,priority\nx,high\n", "csv", "priority"),
        ("title,metadata\nx,{oops\n", "csv", "metadata"),
        ("title,priority\nx,--5\n", "csv", "scenario: 1, field: priority"),
        pytest.param("title,priority\nx," + "9" * 5_000, "csv", "scenario: 1, field: priority", id="many digits"),
        pytest.param("title,metadata\nx," + "[" * 100_000, "csv", "scenario: 1, field: metadata", id="deep metadata"),
        pytest.param("title,triggers\nx," + "[" * 100_000, "csv", "scenario: 1, field: triggers", id="deep triggers"),
        ("- {title: x, start_time: 0001-01-01T00:00:00+14:00}", "yaml", "scenario: 1, field: start_time"),
        ("- {title: x, end_time: '9999-12-31T23:59:59-14:00'}", "yaml", "scenario: 1, field: end_time"),
        ("- {title: x, start_time: 2027-13-45}", "yaml", "month"),
        pytest.param("- title: x\n  priority: 0x" + "f" * 6_000, "yaml", "line 2, column 13", id="hexadecimal"),
        ("- {title: x, priority: 1000001}", "yaml", "scenario: 1, field: priority"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, form: Literal["yaml", "csv"], names: str) -> None:
    """The place and the field are named; nothing is guessed."""
    with pytest.raises(InvalidScenario) as refused:
        read(text, form)

    assert names in str(refused.value)


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_file_has_no_scenarios(form: Literal["yaml", "csv"]) -> None:
    """Nothing is nothing, in both formats."""
    assert read("", form) == []
