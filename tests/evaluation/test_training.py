"""The evaluation of matching measures a set of messages, holds it to its floors, or says that it could not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluation import training
from tests.evaluation.datasets import VARIABLE
from tests.evaluation.report import NOT_RUN
from tests.evaluation.training import Message, Messages

SCENARIOS = [
    {"id": "refund", "name": "Refund", "triggers": ["money back", "refund me"]},
    {"id": "parcel", "name": "Parcel", "triggers": ["where is my parcel", "lost parcel"]},
]
MESSAGES = [
    {"text": "I want my money back", "gold": "refund", "scope": "in"},
    {"text": "how tall is the mountain", "gold": None, "scope": "far"},
]


def test_a_set_is_read_with_the_digest_of_its_files(tmp_path: Path) -> None:
    """A changed line is another digest; a message without a scenario means none."""
    for part, rows in (("shared/scenarios", SCENARIOS), ("dev/utterances", MESSAGES)):
        file = tmp_path / "eval" / "banking50" / f"{part}.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    first = training.read("banking50", tmp_path)
    file.write_text("\n".join(map(json.dumps, MESSAGES[:1])), encoding="utf-8")
    second = training.read("banking50", tmp_path)

    assert first.scenarios == (
        ("Refund", ("money back", "refund me")),
        ("Parcel", ("where is my parcel", "lost parcel")),
    )
    assert [message.gold for message in first.messages] == [0, -1]
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("figures", "digest", "status"),
    [
        ({"top-1": 0.9, "far misfires": 0.1}, "abc", 0),
        ({"top-1": 0.8, "far misfires": 0.1}, "abc", training.BELOW_FLOOR),
        ({"top-1": 0.9, "far misfires": 0.3}, "abc", training.BELOW_FLOOR),
        ({"top-1": 0.9, "far misfires": 0.1}, "other", training.BELOW_FLOOR),
    ],
)
def test_floors_and_ceilings_hold(figures: dict[str, float], digest: str, status: int) -> None:
    """A figure on the wrong side of its bound, or other files, fail the evaluation."""
    one = Messages("banking50", (), (Message("x", -1, "far"),), digest)
    floors = {"corpus": "abc", "triggers": {"10": {"top-1": 0.85, "far misfires": 0.2}}}

    assert training.judge(one, {"10": figures}, floors) == status


def test_without_sets_nothing_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status says that nothing was measured."""
    monkeypatch.delenv(VARIABLE, raising=False)

    assert training.main([]) == NOT_RUN
