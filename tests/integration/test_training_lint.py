"""Lint finds what was planted, and finds nothing where nothing is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import VectorStoreUnavailable
from pipeline.model import ScenarioType
from pipeline.services.training import NewScenario
from pipeline.services.training_lint import PAGE_SENTENCES, Kind, LintReport
from tests.fakes.knowledge import Knowledge

ALWAYS = ScenarioType.BEHAVIORAL
SOUND = (
    NewScenario("Tone", "Answer like a neighbour who knows instruments.", ALWAYS),
    NewScenario("Refund", "Ask for the order number. Name the 45 days.", triggers=("I want my money back",)),
    NewScenario("Parcel", "Look at the tracking page first.", triggers=("where is my parcel",)),
)
SITE = {"/": "<p>You may send back a lamp within 45 days of delivery to us.</p>"}


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path) -> Knowledge:
    """A sound training and one page."""
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    knowledge = Knowledge(tmp_path)
    teach(knowledge, *SOUND)
    knowledge.crawl(SITE)
    return knowledge


def teach(knowledge: Knowledge, *new: NewScenario) -> None:
    """Add these scenarios."""
    for scenario in new:
        knowledge.services.training.add(scenario, scope=knowledge.org, learns=False)


def lint(knowledge: Knowledge) -> LintReport:
    """What lint says of the one org."""
    return knowledge.services.lint.lint(scope=knowledge.org)


def test_sound_training_has_no_findings(shop: Knowledge) -> None:
    """Three scenarios that agree with each other and with the page are left in peace."""
    report = lint(shop)

    assert report.findings == ()
    assert (report.scenarios, report.pages_checked) == (3, True)


@pytest.mark.parametrize(
    ("kind", "planted", "titles"),
    [
        (
            Kind.DUPLICATE,
            [NewScenario("Voice", "Answer like a neighbour, who knows instruments!", ALWAYS)],
            {"Tone", "Voice"},
        ),
        (
            Kind.SHADOWED_TRIGGER,
            [NewScenario("Cash", "Pay it out.", triggers=("I want my money back!",))],
            {"Refund", "Cash"},
        ),
        (
            Kind.NEVER_FIRES,
            [NewScenario("Sale", "Mention the sale.", end_time=datetime(2020, 1, 1, tzinfo=UTC))],
            {"Sale"},
        ),
        (
            Kind.NEVER_FIRES,
            [NewScenario("Parcel", "Something else.", triggers=("where is my parcel",), priority=-1)],
            {"Parcel"},
        ),
        (
            Kind.CONTRADICTION,
            [
                NewScenario("Short", "Keep your answers short.", ALWAYS),
                NewScenario("Long", "Keep your answers long.", ALWAYS),
            ],
            {"Short", "Long"},
        ),
        (
            Kind.CONTRADICTS_PAGE,
            [NewScenario("Lamps", "You may send back a lamp within 30 days of delivery.", triggers=("broken lamp",))],
            {"Lamps"},
        ),
    ],
    ids=["duplicate", "shadowed", "over", "outranked", "contradiction", "page"],
)
def test_what_was_planted_is_found(shop: Knowledge, kind: Kind, planted: list[NewScenario], titles: set[str]) -> None:
    """With the scenarios it is about, evidence, and how sure it is."""
    teach(shop, *planted)

    found = [finding for finding in lint(shop).findings if finding.kind == kind]

    assert len(found) == 1
    assert set(found[0].titles) == titles
    assert found[0].evidence
    assert 0.3 < found[0].confidence <= 1
    assert (found[0].url is not None) == (kind == Kind.CONTRADICTS_PAGE)


def test_scenarios_that_never_meet_do_not_conflict(shop: Knowledge) -> None:
    """On different channels, or one after the other, the same trigger and the opposite word are fine."""
    change = datetime(2026, 6, 1, tzinfo=UTC)
    teach(
        shop,
        NewScenario("Before", "Keep your answers short.", ALWAYS, end_time=change),
        NewScenario("After", "Keep your answers long.", ALWAYS, start_time=change),
        NewScenario("Mail", "Write to us.", triggers=("connect supervisor",), restricted_to_channels=("email",)),
        NewScenario("Call", "Give the number.", triggers=("connect supervisor",), restricted_to_channels=("web",)),
    )

    kinds = {finding.kind for finding in lint(shop).findings}

    assert kinds.isdisjoint({Kind.SHADOWED_TRIGGER, Kind.NEVER_FIRES, Kind.CONTRADICTION, Kind.DUPLICATE})


def test_without_a_store_scenarios_are_checked_all_the_same(shop: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says that pages were not looked at."""

    def away() -> None:
        raise VectorStoreUnavailable(problem="no owner")

    monkeypatch.setattr(shop.services, "store", away)
    monkeypatch.delitem(vars(shop.services), "generations", raising=False)
    monkeypatch.delitem(vars(shop.services), "lint", raising=False)

    report = lint(shop)

    assert (report.findings, report.pages_checked) == ((), False)


def test_training_of_nobody_has_no_findings(shop: Knowledge) -> None:
    """An org without a scenario is sound."""
    other = shop.services.orgs.ensure("other")

    assert shop.services.lint.lint(scope=other).findings == ()


def test_what_is_too_much_is_said(shop: Knowledge) -> None:
    """Of very many sentences with amounts the first are compared with pages."""
    amounts = " ".join(f"Say that parcel {number} takes {number} days." for number in range(PAGE_SENTENCES + 1))
    teach(shop, NewScenario("Days", amounts, triggers=("how many days",)))

    report = lint(shop)

    (told,) = (words for words in report.left_out if "compared with pages" in words)
    assert told.startswith(f"{PAGE_SENTENCES} of ")
