"""The life of a scenario: drafted, published, rolled back, restricted, sorted, deleted; and who sees it when."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from pipeline.db import scenarios
from pipeline.db.scenarios import ScenarioVersion
from pipeline.errors import (
    DirectoryNotFound,
    InstructionsTooLong,
    InvalidQuestion,
    InvalidScenario,
    ScenarioChanged,
    ScenarioNotFound,
    VersionNotFound,
)
from pipeline.model import Behavior, Briefing, FiredScenario, ScenarioType, Vector
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario, ScenarioText, ScenarioView
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import Knowledge

TONE = NewScenario("Tone", "Be kind.", type=ScenarioType.BEHAVIORAL)
REFUND = NewScenario("Refund", "Offer a voucher.", triggers=("I want my money back",))
ASKS_BACK = "I want my money back"

Write = Callable[[NewScenario], ScenarioView]


class Meddling(WordEmbedder):
    """While it computes, somebody else does something, once."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], object] | None = meanwhile

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors, a little late."""
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().encode_queries(texts)


@pytest.fixture
def knowledge(sqlite_template: Path, tmp_path: Path) -> Iterator[Knowledge]:
    """An empty knowledge base; that PostgreSQL does the same is tested on one whole life."""
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    base = Knowledge(tmp_path)
    yield base
    base.services.close()


@pytest.fixture
def write(knowledge: Knowledge) -> Write:
    """Stores a scenario as Ada."""
    return lambda new: knowledge.services.training.add(new, scope=knowledge.org, by="ada")


def brief(knowledge: Knowledge, message: str = ASKS_BACK, **where: object) -> Briefing:
    """A briefing on this channel, for these segments."""
    return knowledge.services.answers.brief(Question(message, **where), scope=knowledge.org)  # type: ignore[arg-type] # the question checks them


def contents(briefing: Briefing) -> list[str]:
    """Every instruction in a briefing."""
    told: list[Behavior | FiredScenario] = [*briefing.behaviors, *briefing.scenarios]
    return [row.content for row in told]


@pytest.mark.parametrize("new", [TONE, REFUND], ids=["always", "specific"])
def test_a_draft_is_never_retrieved_until_it_is_published(knowledge: Knowledge, write: Write, new: NewScenario) -> None:
    """Nothing of a draft reaches a briefing; the commit that publishes it does."""
    draft = write(replace(new, is_draft=True))
    before = brief(knowledge)

    published = knowledge.services.training.publish(draft.id, scope=knowledge.org, by="bob")

    assert contents(before) == []
    assert draft.content not in before.prompt
    assert (draft.is_draft, draft.current_version, draft.draft_content) == (True, None, new.content)
    assert (published.is_draft, published.current_version, published.draft_content) == (False, 1, None)
    assert contents(brief(knowledge)) == [new.content]


def test_a_published_edit_is_retrieved_from_the_commit_on(knowledge: Knowledge, write: Write) -> None:
    """While an edit waits the old words hold; publishing changes words and triggers in one moment."""
    training, org = knowledge.services.training, knowledge.org
    number = write(REFUND).id
    training.put_draft(number, ScenarioText("Refund", "Pay in cash.", ("hand over the cash",)), scope=org)
    waiting = brief(knowledge), brief(knowledge, "hand over the cash")

    training.publish(number, scope=org, by="bob")

    assert [contents(briefing) for briefing in waiting] == [["Offer a voucher."], []]
    assert contents(brief(knowledge, "hand over the cash")) == ["Pay in cash."]
    assert brief(knowledge, "hand over the cash").scenarios[0].version == 2


def test_versions_say_who_what_and_when_and_never_change(knowledge: Knowledge, write: Write) -> None:
    """Every publication is kept as it was; publishing without a draft adds none."""
    training, org = knowledge.services.training, knowledge.org
    number = write(REFUND).id
    first = knowledge.clock.now
    knowledge.clock.forward(days=1)
    training.put_draft(number, ScenarioText("Refund", "Pay in cash."), scope=org)
    training.publish(number, scope=org, by="bob")
    training.publish(number, scope=org, by="eve")

    versions = training.versions(number, scope=org)

    assert [(row.number, row.published_by, row.content) for row in versions] == [
        (2, "bob", "Pay in cash."),
        (1, "ada", "Offer a voucher."),
    ]
    assert versions[1].created_at == first
    assert versions[0].created_at - first == timedelta(days=1)
    with pytest.raises(TypeError), knowledge.services.database.write() as session:
        scenarios.version(session, number, 1).content = "Something else."
    assert training.versions(number, scope=org) == versions


def test_a_roll_back_fills_the_draft_and_waits(knowledge: Knowledge, write: Write) -> None:
    """The old words come into use when somebody publishes them, as a version of their own."""
    training, org = knowledge.services.training, knowledge.org
    number = write(REFUND).id
    training.replace(number, replace(REFUND, content="Pay in cash."), scope=org, by="bob")

    filled = training.roll_back(number, 1, scope=org)
    before = contents(brief(knowledge))
    training.publish(number, scope=org, by="eve")

    assert (filled.content, filled.draft_content, filled.draft_triggers) == (
        "Pay in cash.",
        "Offer a voucher.",
        REFUND.triggers,
    )
    assert before == ["Pay in cash."]
    assert contents(brief(knowledge)) == ["Offer a voucher."]
    assert [row.number for row in training.versions(number, scope=org)] == [3, 2, 1]
    with pytest.raises(VersionNotFound):
        training.roll_back(number, 9, scope=org)


def test_another_type_makes_it_a_draft(knowledge: Knowledge, write: Write) -> None:
    """What always applied and what matched are different promises: it is out of use until published again."""
    training, org = knowledge.services.training, knowledge.org
    number = write(REFUND).id

    turned = training.replace(number, replace(REFUND, type=ScenarioType.BEHAVIORAL, triggers=()), scope=org)
    between = contents(brief(knowledge))
    training.publish(number, scope=org)

    assert turned.is_draft
    assert between == []
    assert contents(brief(knowledge, "anything at all")) == ["Offer a voucher."]


def test_settings_hold_at_once_and_make_no_version(knowledge: Knowledge, write: Write) -> None:
    """Restricting, sorting, annotating and a waiting draft survive each other."""
    training, org = knowledge.services.training, knowledge.org
    number = write(TONE).id
    folder = knowledge.services.directories.add("Style", scope=org)
    training.put_draft(number, ScenarioText("Tone", "Be brief."), scope=org)

    changed = training.replace(
        number,
        replace(TONE, directory_id=folder.id, priority=3, restricted_to_channels=("email",), metadata={"owner": 7}),
        scope=org,
    )

    assert (changed.current_version, changed.draft_content) == (1, "Be brief.")
    assert (changed.directory_id, changed.priority, changed.metadata) == (folder.id, 3, {"owner": 7})
    assert contents(brief(knowledge)) == []
    assert contents(brief(knowledge, channel="email")) == ["Be kind."]


def test_one_org_cannot_touch_anothers_scenario(knowledge: Knowledge, write: Write) -> None:
    """Whatever is asked with another org's id is not found."""
    training = knowledge.services.training
    number = write(TONE).id
    other = knowledge.services.orgs.ensure("other")

    for attempt in (
        lambda: training.get(number, scope=other),
        lambda: training.publish(number, scope=other),
        lambda: training.delete(number, scope=other),
        lambda: training.put_draft(number, ScenarioText("a", "b"), scope=other),
        lambda: training.roll_back(number, 1, scope=other),
        lambda: training.versions(number, scope=other),
        lambda: training.replace(number, TONE, scope=other),
    ):
        with pytest.raises(ScenarioNotFound):
            attempt()
    assert contents(brief(knowledge)) == ["Be kind."]


def test_what_is_deleted_applies_no_more(knowledge: Knowledge, write: Write) -> None:
    """With its versions and vectors it is gone from that commit on."""
    first, second = write(TONE), write(REFUND)

    for view in (first, second):
        knowledge.services.training.delete(view.id, scope=knowledge.org)

    assert contents(brief(knowledge)) == []
    with knowledge.services.database.read() as session:
        assert session.query(ScenarioVersion).count() == 0


def test_directories_sort_and_never_switch(knowledge: Knowledge, write: Write) -> None:
    """A folder narrows a list; removing it leaves its scenarios in use, in no folder."""
    directories, org = knowledge.services.directories, knowledge.org
    folder = directories.add("Returns", scope=org)
    kept = write(replace(REFUND, directory_id=folder.id))
    write(TONE)
    other = directories.add("Style", scope=org)

    listed = knowledge.services.training.list_scenarios(scope=org, directory_id=folder.id)
    found = knowledge.services.training.list_scenarios(scope=org, words="VOUCHER")
    again = directories.add("Returns", scope=org)
    renamed = directories.rename(folder.id, "Money", scope=org)
    directories.delete(folder.id, scope=org)

    assert [row.id for row in listed] == [row.id for row in found] == [kept.id]
    assert again == folder
    assert (renamed.name, [row.name for row in directories.list_all(scope=org)]) == ("Money", ["Style"])
    assert knowledge.services.training.get(kept.id, scope=org).directory_id is None
    assert "Offer a voucher." in contents(brief(knowledge))
    with pytest.raises(DirectoryNotFound):
        write(replace(TONE, directory_id=uuid4()))
    with pytest.raises(InvalidScenario):
        directories.rename(other.id, " ", scope=org)


def test_instructions_that_cannot_fit_are_refused_when_published(knowledge: Knowledge, write: Write) -> None:
    """Each alone would fit and both would not: the second says so and changes nothing. Elsewhere it may apply."""
    training, org = knowledge.services.training, knowledge.org
    half = knowledge.settings.retrieve.max_tokens // 2
    first = write(replace(TONE, content="word " * half))
    long = replace(TONE, title="More", content="sentence " * half)

    with pytest.raises(InstructionsTooLong) as refused:
        write(long)
    draft = write(replace(long, is_draft=True))
    with pytest.raises(InstructionsTooLong):
        training.publish(draft.id, scope=org)
    kept = training.get(draft.id, scope=org)
    training.replace(first.id, replace(TONE, content=first.content, restricted_to_channels=("sms",)), scope=org)
    elsewhere = training.replace(draft.id, replace(long, restricted_to_channels=("email", "web")), scope=org)

    assert str(knowledge.settings.retrieve.max_tokens) in str(refused.value)
    assert (kept.is_draft, kept.current_version) == (True, None)
    assert elsewhere.current_version == 1
    assert brief(knowledge, channel="sms").behaviors[0].content == first.content


def test_an_edit_overtaken_by_another_is_not_lost_in_silence(knowledge: Knowledge, write: Write) -> None:
    """Who replaces what somebody changed meanwhile is told."""
    training, org = knowledge.services.training, knowledge.org
    number = write(REFUND).id
    computed = knowledge.embedder.encode_query

    def slow(text: str) -> object:
        knowledge.embedder.encode_query = computed  # type: ignore[method-assign] # the first call only
        training.put_draft(number, ScenarioText("Refund", "Meanwhile."), scope=org)
        return computed(text)

    knowledge.embedder.encode_query = slow  # type: ignore[method-assign,assignment] # somebody else writes while it computes
    with pytest.raises(InvalidScenario, match="meanwhile"):
        training.replace(number, replace(REFUND, content="Pay in cash."), scope=org)

    assert training.get(number, scope=org).draft_content == "Meanwhile."


def test_an_unknown_channel_is_refused(knowledge: Knowledge) -> None:
    """A typo must not look like a channel without instructions."""
    with pytest.raises(InvalidQuestion, match="pigeon"):
        brief(knowledge, channel="pigeon")


@pytest.mark.parametrize("crawled", [False, True], ids=["nothing known", "a site known"])
def test_what_always_applies_is_in_every_briefing_and_what_does_not_in_none(
    knowledge: Knowledge, write: Write, *, crawled: bool
) -> None:
    """1,000 random questions: whole, in one order, at any budget; never on a wrong channel, segment, time or draft."""
    chance = random.Random(7)  # noqa: S311 - questions, not secrets
    now = knowledge.clock.now
    if crawled:
        knowledge.crawl({"/": "<p>Lamps cost nine euros and are sent within two days to every place.</p>"})
    wanted = [
        replace(TONE, title="One", content="Be kind. " * 40, priority=1),
        replace(TONE, title="Two", content="Answer in one sentence."),
        replace(TONE, title="Three", restricted_to_channels=("email", "web"), restricted_to_segments=("vip", "new")),
        replace(TONE, title="Four", start_time=now, end_time=now + timedelta(seconds=1), priority=-1),
    ]
    unwanted = [
        replace(TONE, title="Wrong channel", restricted_to_channels=("sms",)),
        replace(TONE, title="Wrong segment", restricted_to_segments=("staff",)),
        replace(TONE, title="Too early", start_time=now + timedelta(seconds=1)),
        replace(TONE, title="Too late", end_time=now),
        replace(TONE, title="Draft", is_draft=True),
    ]
    for new in chance.sample([*wanted, *unwanted], len(wanted) + len(unwanted)):
        write(new)
    letters = "abcdefghij  \n{}#=\u00e9\u4e2d\U0001f600"
    orders = set()

    for _ in range(500):
        message = "".join(chance.choices(letters, k=chance.randint(1, 60))) + "x"
        briefing = brief(
            knowledge, message, channel="email", segments=("vip",), max_tokens=chance.choice((100, 500, 3_000))
        )
        orders.add(tuple((row.title, row.content) for row in briefing.behaviors))
        assert all(f"{row.title}\n{row.content}" in briefing.prompt for row in wanted)
        assert not any(row.title in briefing.prompt for row in unwanted)

    assert len(orders) == 1
    assert {title for title, _ in orders.pop()} == {row.title for row in wanted}


def test_a_change_that_another_overtook_is_refused(knowledge: Knowledge, write: Write) -> None:
    """What was written meanwhile stands: nobody overwrites what they have not seen."""
    made = write(REFUND)
    others = replace(REFUND, content="Offer money.", is_draft=True)
    other = knowledge.open()
    knowledge.use_embedder(Meddling(lambda: other.training.replace(made.id, others, scope=knowledge.org)))

    with pytest.raises(ScenarioChanged):
        knowledge.services.training.replace(made.id, replace(REFUND, content="Ask why."), scope=knowledge.org)

    other.close()
    stands = knowledge.services.training.get(made.id, scope=knowledge.org)
    assert "Offer money." in {stands.content, stands.draft_content}
    assert "Ask why." not in {stands.content, stands.draft_content}
