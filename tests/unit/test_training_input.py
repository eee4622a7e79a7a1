"""What a scenario may be."""

from __future__ import annotations

import pytest

from pipeline.errors import InvalidScenario
from pipeline.model import ScenarioType
from pipeline.services.training import NewScenario, check


def deep(levels: int) -> list[object]:
    """Lists within lists."""
    nested: list[object] = []
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (NewScenario(" ", "x"), "title"),
        (NewScenario("x" * 301, "x"), "title"),
        (NewScenario("x", ""), "content"),
        (NewScenario("x", "x" * 20_001), "content"),
        (NewScenario("x", "x", triggers=("t",) * 51), "triggers"),
        (NewScenario("x", "x", triggers=(" ",)), "triggers"),
        (NewScenario("x", "x", triggers=("t" * 501,)), "triggers"),
        (NewScenario("x", "x", triggers=("\ud83d",)), "triggers"),
        (NewScenario("\ud83d", "x"), "title"),
        (NewScenario("x", "x", restricted_to_segments=("\ud83d",)), "restricted_to_segments"),
        (NewScenario("x", "x", metadata={"a": "\ud83d"}), "metadata"),
        (NewScenario("x", "x", metadata={"a": [{"\ud83d": 1}]}), "metadata"),
        (NewScenario("x", "x", metadata={"a": float("nan")}), "metadata"),
        (NewScenario("x", "x", metadata={"a": deep(100)}), "metadata"),
        (NewScenario("x", "x", type=ScenarioType.BEHAVIORAL, triggers=("t",)), "triggers"),
    ],
)
def test_a_scenario_out_of_bounds_is_refused_by_field(new: NewScenario, field: str) -> None:
    """The field is named, and what is allowed."""
    with pytest.raises(InvalidScenario) as refused:
        check(new)

    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    "new",
    [
        NewScenario("x" * 300, "x" * 20_000, triggers=("t" * 500,) * 50),
        NewScenario("x", "x", type=ScenarioType.BEHAVIORAL),
        NewScenario("x", "x", metadata={"a": "\U0001f600", "b": deep(90)}),
    ],
)
def test_a_scenario_at_its_bounds_is_taken(new: NewScenario) -> None:
    """Bounds are part of what is allowed: nothing is raised."""
    check(new)
