"""What a page said is kept, and can be said again."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.db import chunks
from pipeline.errors import CrawlUnfinished, InvalidInput, PageNotFound, VersionNotFound
from pipeline.model import OrgScope, Verification
from tests.fakes.knowledge import Answer, Knowledge, at

HOME = "<p>Welcome to the lamp shop of Tromsoe, open every day from nine to five.</p>"
PRICE = "<p>Shipping one lamp to any address in the country costs nine euros and takes three days.</p>"
RAISED = PRICE.replace("nine", "fourteen")
TRUE, WRONG = {"/": HOME, "/ship": PRICE}, {"/": HOME, "/ship": RAISED}


def said(knowledge: Knowledge) -> dict[str, str]:
    """All that answers, by address."""
    org_id = knowledge.org.org_id
    with knowledge.services.database.read() as session:
        found = chunks.live(session, chunks.of_live_versions(session, org_id=org_id), org_id=org_id)
    return {piece.url.removeprefix(at("/")): piece.text for piece in found.values()}


def changed(knowledge: Knowledge) -> None:
    """A page that said nine euros, and a day later fourteen."""
    knowledge.crawl(TRUE)
    knowledge.clock.forward(hours=24)
    knowledge.crawl(WRONG)


def test_a_roll_back_shows_in_the_next_answer(knowledge: Knowledge) -> None:
    """From its commit on the earlier text answers, and not one vector is computed for it."""
    changed(knowledge)
    before = said(knowledge)["ship"]
    embedded = len(knowledge.embedder.encoded)

    told = knowledge.services.history.roll_back_page(at("/ship"), 1, scope=knowledge.org)

    assert "fourteen euros" in before
    assert "nine euros" in said(knowledge)["ship"]
    assert (told.changed, told.waiting) == (1, 0)
    assert len(knowledge.embedder.encoded) == embedded
    assert "nine euros" in knowledge.ask("What does shipping a lamp cost?").passages[0].text


def test_a_text_whose_points_were_swept_comes_back_whole(knowledge: Knowledge) -> None:
    """It is indexed again from what is stored before the command ends."""
    changed(knowledge)
    knowledge.clock.forward(hours=24 * 30)
    swept = knowledge.services.upkeep.tick().swept

    told = knowledge.services.history.roll_back_page(at("/ship"), 1, scope=knowledge.org)
    knowledge.clock.forward(hours=24 * 30)
    knowledge.services.upkeep.tick()

    assert swept > 0
    assert (told.changed, told.waiting) == (1, 0)
    assert "nine euros" in said(knowledge)["ship"]
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_a_roll_back_lasts_until_the_website_says_something_new(knowledge: Knowledge) -> None:
    """The text that was rolled back does not return with the next crawl; the one after it does."""
    changed(knowledge)
    knowledge.services.history.roll_back_page(at("/ship"), 1, scope=knowledge.org)
    knowledge.clock.forward(hours=24)

    knowledge.crawl(WRONG)
    same = said(knowledge)["ship"]
    knowledge.crawl({"/": HOME, "/ship": PRICE.replace("nine", "seven")})

    assert "nine euros" in same
    assert "seven euros" in said(knowledge)["ship"]


def test_what_a_page_said_on_a_day_is_told_from_its_stored_text(knowledge: Knowledge) -> None:
    """Before its first day nothing, then each text in its days, whatever serves now."""
    first = knowledge.clock.now
    changed(knowledge)
    second = knowledge.clock.now
    knowledge.clock.forward(hours=24)
    knowledge.services.history.roll_back_page(at("/ship"), 1, scope=knowledge.org)
    third = knowledge.clock.now
    days = [first - timedelta(hours=1), first, second, third]

    told = [knowledge.services.history.said_on(at("/ship"), day, scope=knowledge.org) for day in days]
    history = knowledge.services.history.of_page(at("/ship"), scope=knowledge.org)

    assert [one.number for one in told] == [None, 1, 2, 1]
    assert told[0].markdown is None
    assert "fourteen" in (told[2].markdown or "")
    assert [(one.number, one.is_live) for one in history.versions] == [(2, False), (1, True)]
    assert history.versions[1].served == ((third, None), (first, second))
    assert history.versions[0].served == ((second, third),)


def test_a_website_goes_back_to_an_earlier_crawl(knowledge: Knowledge) -> None:
    """Changed pages say what they said, a removed one answers again, a later one does not; and so it stays."""
    site: dict[str, Answer] = {
        "/": HOME,
        "/ship": PRICE,
        **{f"/{n}": f"<p>Lamp{n} is blue{n} wide{n} old{n} so{n}.</p>" for n in range(5)},
    }
    good = knowledge.crawl(site)
    before = said(knowledge)
    later = site | {"/ship": RAISED, "/0": 404, "/spam": "<p>Buy cheap pills here, all day and all night long.</p>"}
    for _ in range(2):
        knowledge.clock.forward(hours=24)
        knowledge.crawl(later)
    between = said(knowledge)

    told = knowledge.services.history.roll_back_to(good.id, scope=knowledge.org)
    after = said(knowledge)
    knowledge.clock.forward(hours=24)
    knowledge.crawl(later)

    assert "earlier crawl" in knowledge.services.pages.why(at("/spam"), scope=knowledge.org).meaning
    assert set(before) - set(between) == {"0"}
    assert set(between) - set(before) == {"spam"}
    assert (told.changed, told.left, told.waiting) == (2, 1, 0)
    assert after == before
    assert said(knowledge) == before
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_there_is_no_way_back_while_a_crawl_runs(knowledge: Knowledge) -> None:
    """It would go on changing what was brought back."""
    done = knowledge.crawl(TRUE)
    knowledge.start(knowledge.add_site())

    with pytest.raises(CrawlUnfinished):
        knowledge.services.history.roll_back_to(done.id, scope=knowledge.org)


def test_history_is_the_orgs_own(knowledge: Knowledge) -> None:
    """Another org has no such page, and no page has a version that never was."""
    changed(knowledge)
    other: OrgScope = knowledge.services.orgs.ensure("other")

    with pytest.raises(PageNotFound):
        knowledge.services.history.of_page(at("/ship"), scope=other)
    with pytest.raises(VersionNotFound):
        knowledge.services.history.roll_back_page(at("/ship"), 7, scope=knowledge.org)


def test_the_command_line_tells_the_history_and_goes_back(sqlite_template: Path, tmp_path: Path) -> None:
    """A table of versions, the text of a day, and a moment that is none refused."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    knowledge = Knowledge(tmp_path)
    changed(knowledge)
    knowledge.services.close()
    command = ["--data-dir", str(tmp_path), "page", "history", at("/ship")]

    table = CliRunner().invoke(app, command)
    then = CliRunner().invoke(app, [*command, "--on", "2026-03-01", "--json"])
    before = CliRunner().invoke(app, [*command, "--on", "2026-03-01T08:59"])
    wrong = CliRunner().invoke(app, [*command, "--on", "yesterday"])

    assert "live" in table.output
    assert "nine euros" in json.loads(then.output)["markdown"]
    assert "did not answer" in before.output
    assert isinstance(wrong.exception, InvalidInput)
