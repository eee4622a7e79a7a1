"""One transaction of several use cases: all of it happens, or nothing, and messages wait for its end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pipeline.db import idempotent_answers
from pipeline.db.rate_buckets import RateBucket
from pipeline.errors import InvalidInput
from pipeline.services.idempotency import Answered, Asked
from pipeline.services.limits import Draw
from tests.fakes.knowledge import Knowledge


class Undone(Exception):
    """Ends a transaction on purpose."""


def names(knowledge: Knowledge) -> list[str]:
    """Every org's."""
    return [org.name for org in knowledge.services.orgs.list_all()]


def test_what_several_services_write_is_one_commit(knowledge: Knowledge) -> None:
    """They read what was written before them; nobody else does before the end."""
    services = knowledge.services

    with services.database.together():
        services.orgs.ensure("first")
        services.orgs.ensure("second")
        within = names(knowledge)
        with ThreadPoolExecutor(1) as pool:
            outside = pool.submit(names, knowledge).result()

    assert within == ["first", "second"]
    assert outside == []
    assert names(knowledge) == ["first", "second"]


def test_a_failure_undoes_all(knowledge: Knowledge) -> None:
    """Also what services before it wrote, and nothing waits for a commit that never comes."""
    services = knowledge.services
    told: list[str] = []

    def write_and_fail() -> None:
        with services.database.together():
            services.orgs.ensure("first")
            assert services.database.after_commit(lambda: told.append("sent"))
            raise Undone

    with pytest.raises(Undone):
        write_and_fail()

    assert names(knowledge) == []
    assert told == []
    assert not services.database.after_commit(lambda: told.append("late"))


def test_a_failure_that_is_caught_undoes_its_own_part(knowledge: Knowledge) -> None:
    """A service that was refused leaves what others wrote."""
    services = knowledge.services

    def fail() -> None:
        with services.database.write() as session:
            session.add(RateBucket(subject="lost", tokens=1.0, at=knowledge.clock.now))
            session.flush()
            raise InvalidInput(problem="on purpose")

    with services.database.together():
        services.orgs.ensure("kept")
        with pytest.raises(InvalidInput):
            fail()
        services.orgs.ensure("kept too")

    with services.database.read() as session:
        lost = session.get(RateBucket, "lost")
    assert names(knowledge) == ["kept", "kept too"]
    assert lost is None


def test_a_transaction_within_is_the_same(knowledge: Knowledge) -> None:
    """However deep it is asked for."""
    services = knowledge.services

    def write_and_fail() -> None:
        with services.database.together():
            with services.database.together():
                services.orgs.ensure("inner")
            raise Undone

    with pytest.raises(Undone):
        write_and_fail()

    assert names(knowledge) == []


def test_hints_leave_after_the_commit(knowledge: Knowledge) -> None:
    """A worker that gets one finds the row it speaks of."""
    services, source = knowledge.services, knowledge.add_site()

    with services.database.together():
        job = services.crawls.start(source, scope=knowledge.org)
        before = list(knowledge.hints.sent)

    assert before == []
    assert knowledge.hints.sent == [("crawl", job.id)]


def test_upkeep_forgets_answers_and_buckets_that_are_too_old(knowledge: Knowledge) -> None:
    """A day for answers, an hour for buckets; what is younger stays."""
    services = knowledge.services
    key = services.keys.for_org(knowledge.org.org_id, name="k", partner_id=None)

    def ask(name: str) -> None:
        services.idempotency.once(Asked(key.id, b"s", name, b"r"), lambda: Answered(201, b"{}"))
        services.limits.draw(Draw(name, 60))

    ask("old")
    knowledge.clock.forward(hours=25)
    ask("new")
    services.upkeep.tick()

    with services.database.read() as session:
        since = knowledge.clock.now - timedelta(days=9)
        kept = [name for name in ("old", "new") if idempotent_answers.find(session, key.id, name, since=since)]
        buckets = [name for name in ("old", "new") if session.get(RateBucket, name)]
    assert kept == ["new"]
    assert buckets == ["new"]
