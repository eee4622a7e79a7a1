"""Lint on the sample site: it finds what is planted in a training, and leaves a sound one in peace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.bootstrap import open_services
from pipeline.settings import read_settings
from tests.lab.command import Sitewise

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Shop

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
SOUND: list[dict[str, Any]] = [
    {"title": "A parcel is late or lost", "content": "Ask for the order number. Look at the tracking first.",
     "triggers": ["where is my parcel", "my order has not arrived", "the tracking has not moved for days"]},
    {"title": "The station does not connect", "content": "Go through the steps for a new start, then offer a call.",
     "triggers": ["my station is offline", "it does not connect to wifi", "no data since yesterday"]},
    {"title": "A school asks for an offer", "content": "Name the School Pack and send the form for schools.",
     "triggers": ["we are a school and want several stations", "do you have prices for teachers"]},
    {"title": "Somebody writes for a newspaper", "content": "Hand over to the office and promise no date.",
     "triggers": ["I am a journalist", "can I interview somebody about the project"]},
    {"title": "The customer wants to cancel the plan", "content": "Say that the data stay theirs.",
     "triggers": ["cancel my subscription", "I do not want to pay for the plan any longer"]},
]  # fmt: skip
PLANTED: list[tuple[str, set[str], list[dict[str, Any]]]] = [
    ("duplicate", {"Voice", "Tone"}, [
        {"title": title, "content": "Be brief, be kind, and name the page.", "type": "BEHAVIORAL"}
        for title in ("Voice", "Tone")
    ]),
    ("shadowed_trigger", {"Money", "The customer wants to return something or have the money back"}, [
        {"title": "Money", "content": "Pay it out by bank transfer only.", "triggers": ["I want a refund!"]},
    ]),
    ("shadowed_trigger", {"Birds", "Nests"}, [
        {"title": "Birds", "content": "Send the leaflet.", "triggers": ["a bird nests in my station"]},
        {"title": "Nests", "content": "Hand over.", "triggers": ["a bird is nesting in my station"]},
    ]),
    ("never_fires", {"Hidden", "Shown"}, [
        {"title": "Hidden", "content": "Say no.", "triggers": ["paint the mast green"], "priority": -5},
        {"title": "Shown", "content": "Say yes.", "triggers": ["Hidden", "paint the mast green"], "priority": 5},
    ]),
    ("never_fires", {"Summer sale"}, [
        {"title": "Summer sale", "content": "Mention it.", "triggers": ["is there a sale"],
         "end_time": "2020-01-01T00:00:00Z"},
    ]),
    ("contradiction", {"Short", "Long"}, [
        {"title": "Short", "content": "Keep your answers short.", "type": "BEHAVIORAL"},
        {"title": "Long", "content": "Keep your answers long.", "type": "BEHAVIORAL"},
    ]),
    ("contradiction", {"Callback", "Telephone"}, [
        {"title": "Callback", "content": "Promise a call back within 2 hours.", "triggers": ["please call me back"]},
        {"title": "Telephone", "content": "Promise a call back within 24 hours.", "triggers": ["what is your number"]},
    ]),
    ("contradicts_page", {"Gone from the post"}, [
        {"title": "Gone from the post",
         "content": "A parcel counts as lost when its tracking has not moved for 20 working days.",
         "triggers": ["the post has lost it"]},
    ]),
    ("contradicts_page", {"School price"}, [
        {"title": "School price", "content": "The School Pack costs £299.",
         "triggers": ["what does the pack for classes cost"]},
    ]),
]  # fmt: skip
"""Kinds of findings, the scenarios that each must name, and what makes them; several may name the same."""


@pytest.fixture
def taught(shop: Shop) -> Iterator[Sitewise]:
    """The crawled sample site with its own training, five scenarios more, and none that another test taught."""
    forget(shop.sitewise.data_dir)
    teach(shop.sitewise, [*json.loads((SAMPLE / "training.json").read_text()), *SOUND])
    yield shop.sitewise
    forget(shop.sitewise.data_dir)


def forget(data_dir: Path) -> None:
    """Delete every scenario."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        scope = services.orgs.ensure()
        for scenario in services.training.list_scenarios(scope=scope):
            services.training.delete(scenario.id, scope=scope)


def teach(sitewise: Sitewise, scenarios: list[dict[str, Any]]) -> None:
    """Import these; JSON is YAML."""
    file = sitewise.data_dir.parent / "scenarios.yaml"
    entries = [{"type": "SCENARIO_SPECIFIC", **scenario} for scenario in scenarios]
    file.write_text(json.dumps(entries), encoding="utf-8")
    ended = sitewise.run("training", "import", str(file))
    assert ended.status == 0, ended.err


def lint(sitewise: Sitewise) -> dict[str, Any]:
    """What lint says."""
    report: dict[str, Any] = sitewise.run("training", "lint", "--json").json()
    return report


def test_what_is_planted_is_found_and_nothing_else(taught: Sitewise) -> None:
    """A sound training has no finding; of nine planted cases each is found, and no finding names other scenarios."""
    before = lint(taught)

    teach(taught, [scenario for _, _, planted in PLANTED for scenario in planted])
    after = lint(taught)

    found = [(finding["kind"], set(finding["titles"])) for finding in after["items"]]
    assert before["items"] == []
    assert before["pages_checked"]
    for kind, titles, _ in PLANTED:
        assert any(kind == one and named == titles for one, named in found), (kind, titles)
    planted = {title for _, titles, _ in PLANTED for title in titles}
    assert [named for _, named in found if not named <= planted] == []
