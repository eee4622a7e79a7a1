"""Import and export against real rows: exact, repeatable, and checked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from pipeline.errors import InvalidScenario
from pipeline.model import ScenarioType
from pipeline.services.training import NewScenario, ScenarioText
from pipeline.services.training_exchange import ImportReport
from tests.fakes.knowledge import Knowledge

Form = Literal["yaml", "csv"]
FORMS: tuple[Form, ...] = ("yaml", "csv")


@pytest.fixture
def knowledge(sqlite_template: Path, tmp_path: Path) -> Iterator[Knowledge]:
    """An empty knowledge base; that PostgreSQL does the same is tested on one whole life."""
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    base = Knowledge(tmp_path)
    yield base
    base.services.close()


def fill(knowledge: Knowledge) -> None:
    """Scenarios of every kind: always, specific, drafts, edits that wait, restricted, doubled titles."""
    training, org = knowledge.services.training, knowledge.org
    folder = knowledge.services.directories.add("Money", scope=org)
    tone = NewScenario("Tone", "Be kind.\n\n- Really.\n", type=ScenarioType.BEHAVIORAL, priority=2)
    training.add(tone, scope=org)
    training.add(replace(tone, title="Later", is_draft=True, metadata={"owner": "ada", "n": [1, None]}), scope=org)
    refund = NewScenario(
        "Refund",
        "Offer a voucher.",
        triggers=("money back", "=SUM(A1)", "two\nlines"),
        directory_id=folder.id,
        restricted_to_channels=("email",),
        restricted_to_segments=("vip",),
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
        end_time=datetime(2027, 1, 1, 12, 30, tzinfo=UTC),
    )
    view = training.add(refund, scope=org)
    training.put_draft(view.id, ScenarioText("Refund", "Pay in cash.", ("cash",)), scope=org)
    training.add(replace(refund, content="The same title again.", triggers=()), scope=org)


def take_in(knowledge: Knowledge, text: str, form: Form = "yaml", *, rehearse: bool = False) -> ImportReport:
    """Import as Ada."""
    return knowledge.services.exchange.import_file(text, form, scope=knowledge.org, by="ada", is_rehearsal=rehearse)


@pytest.mark.parametrize("form", FORMS)
def test_an_export_comes_back_exactly(knowledge: Knowledge, sqlite_template: Path, tmp_path: Path, form: Form) -> None:
    """In the same org nothing changes; in an empty one everything is there, ids included; twice is once."""
    fill(knowledge)
    text = knowledge.services.exchange.export(form, scope=knowledge.org)
    again = take_in(knowledge, text, form)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    other = Knowledge(tmp_path / "other")

    first = take_in(other, text, form)
    second = take_in(other, text, form)

    assert (again.created, again.updated, len(again.unchanged)) == ((), (), 4)
    assert (len(first.created), first.updated, first.unchanged) == (4, (), ())
    assert (second.created, second.updated, len(second.unchanged)) == ((), (), 4)
    assert other.services.exchange.export(form, scope=other.org) == text
    other.services.close()


def test_scenarios_without_ids_are_known_by_title_and_type(knowledge: Knowledge) -> None:
    """What people write has no ids; a second import updates what they changed and keeps what they left out."""
    text = "- title: Refund\n  content: Offer a voucher.\n  triggers: [money back]\n  priority: 4\n"
    take_in(knowledge, text)

    report = take_in(knowledge, "- title: Refund\n  content: Pay in cash.\n")
    view = knowledge.services.training.list_scenarios(scope=knowledge.org)[0]

    assert report == ImportReport((), ("Refund",), ())
    assert (view.content, view.triggers, view.priority, view.current_version) == ("Pay in cash.", ("money back",), 4, 2)


def test_another_org_gets_scenarios_of_its_own(knowledge: Knowledge) -> None:
    """An export imported by another org of the same database leaves the first as it is."""
    fill(knowledge)
    text = knowledge.services.exchange.export("yaml", scope=knowledge.org)
    other = knowledge.services.orgs.ensure("other")

    report = knowledge.services.exchange.import_file(text, "yaml", scope=other, by="ada")
    again = knowledge.services.exchange.import_file(text, "yaml", scope=other, by="ada")

    assert (len(report.created), len(again.unchanged)) == (4, 4)
    assert knowledge.services.exchange.export("yaml", scope=knowledge.org) == text


def test_a_rehearsal_changes_nothing(knowledge: Knowledge) -> None:
    """It tells what would be created, and leaves not even a directory."""
    report = take_in(knowledge, "- {title: Refund, content: Pay., directory: Money}", rehearse=True)

    assert report.created == ("Refund",)
    assert knowledge.services.training.list_scenarios(scope=knowledge.org) == []
    assert knowledge.services.directories.list_all(scope=knowledge.org) == []


def test_a_file_with_a_mistake_changes_nothing(knowledge: Knowledge) -> None:
    """The mistake is named with its place, and the scenario before it is not stored either."""
    mistakes = {
        "{title: Bad}": "content",
        "{title: Bad, content: x, type: SOMETIMES}": "SOMETIMES",
        "{title: Bad, content: x, restricted_to_channels: [pigeon]}": "pigeon",
        "{title: Bad, content: x, type: BEHAVIORAL, draft_triggers: [y]}": "triggers",
        "{title: Bad, content: x, id: nonsense}": "id",
    }

    for bad, names in mistakes.items():
        with pytest.raises(InvalidScenario) as refused:
            take_in(knowledge, f"- {{title: Good, content: x}}\n- {bad}\n")

        assert names in str(refused.value)
        assert refused.value.facts["scenario"] == 2
    assert knowledge.services.training.list_scenarios(scope=knowledge.org) == []
