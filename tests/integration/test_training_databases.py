"""One whole life of a scenario on both databases: what the dialects could do differently."""

from __future__ import annotations

from dataclasses import replace

from pipeline.model import ScenarioType
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario, ScenarioText
from tests.fakes.knowledge import Knowledge

REFUND = NewScenario("Refund", "Offer a voucher.", triggers=("I want my money back",))


def test_a_scenario_lives_the_same_life_on_both(knowledge: Knowledge) -> None:
    """Written into a directory, published, edited, rolled back, exported, matched, restricted and deleted."""
    training, org = knowledge.services.training, knowledge.org
    folder = knowledge.services.directories.add("Money", scope=org)
    view = training.add(replace(REFUND, directory_id=folder.id, is_draft=True, metadata={"owner": 7}), scope=org)
    training.publish(view.id, scope=org, by="ada")
    training.put_draft(view.id, ScenarioText("Refund", "Pay in cash."), scope=org)
    training.publish(view.id, scope=org, by="bob")
    training.roll_back(view.id, 1, scope=org)
    training.publish(view.id, scope=org, by="eve")
    tone = training.add(NewScenario("Tone", "Be kind.", ScenarioType.BEHAVIORAL), scope=org)

    versions = [(row.number, row.published_by) for row in training.versions(view.id, scope=org)]
    found = training.list_scenarios(scope=org, words="VOUCHER", directory_id=folder.id)
    briefing = knowledge.services.answers.brief(Question("I want my money back"), scope=org)
    text = knowledge.services.exchange.export("csv", scope=org)
    report = knowledge.services.exchange.import_file(text, "csv", scope=org, by="ada")
    knowledge.services.directories.delete(folder.id, scope=org)
    kept = training.get(view.id, scope=org)
    for number in (view.id, tone.id):
        training.delete(number, scope=org)

    assert versions == [(3, "eve"), (2, "bob"), (1, "ada")]
    assert [row.id for row in found] == [view.id]
    assert [row.title for row in briefing.behaviors] == ["Tone"]
    assert [(row.title, row.version) for row in briefing.scenarios] == [("Refund", 3)]
    assert len(report.unchanged) == 2
    assert (kept.directory_id, kept.metadata, kept.current_version) == (None, {"owner": 7}, 3)
    assert training.list_scenarios(scope=org) == []
