"""Beats that die and disagree about the time, while websites come due."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.schedule_runs import ScheduleRun
from pipeline.services.clock import system_clock
from pipeline.services.crawls import NewDatasource
from tests.chaos.deployment import end_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random
    from uuid import UUID

    from tests.chaos.deployment import Deployment

BEAT = ("--queues=upkeep", "--beat")
DAY_HOURS = 24


def beats(
    deployment: Deployment, random: Random, *, websites: int, seconds: float, ahead: Mapping[str, str]
) -> dict[str, object]:
    """Run two beats, kill one now and then, end every crawl as it begins; how often each website was begun.

    Half of the websites missed three days, the others come due one after the other.
    """
    due = _make_due(deployment, websites, seconds)
    running = [deployment.start_workers(*BEAT), deployment.start_workers(*BEAT, environment=ahead)]
    killed = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for _ in range(20):
            Event().wait(0.1)
            _end_crawls(deployment)
        place = random.randrange(2)
        end_all(running[place])
        running[place] = deployment.start_workers(*BEAT, environment=ahead if place else None)
        killed += 1
    Event().wait(5)
    _end_crawls(deployment)
    with deployment.services.database.read() as session:
        runs = Counter(session.scalars(select(ScheduleRun.datasource_id)))
        begun = Counter(session.scalars(select(Crawl.datasource_id)))
        nexts = list(session.scalars(select(Datasource.next_crawl_at)))
    minutes = {moment.minute for moment in nexts if moment is not None}
    return {
        "killed": killed,
        "websites": len(due),
        "begun_once": sum(begun[one] == 1 for one in due),
        "runs_once": sum(runs[one] == 1 for one in due),
        "begun_more_often": sum(count > 1 for count in begun.values()),
        "minutes_of_the_hour_used": len(minutes),
        "clean": True,
        "lost": sum(begun[one] != 1 for one in due),
    }


def _make_due(deployment: Deployment, websites: int, seconds: float) -> list[UUID]:
    services = deployment.services
    now = system_clock()
    made: list[UUID] = []
    for number in range(websites):
        url = f"http://127.0.0.1:9/{number}/"
        source = services.crawls.add(NewDatasource(url=url, crawl_interval_hours=DAY_HOURS), scope=deployment.scope)
        late = number % 2 == 0
        at = now - timedelta(days=3) if late else now + timedelta(seconds=310 + number * seconds / websites / 2)
        with services.database.write() as session:
            session.execute(update(Datasource).where(Datasource.id == source.id).values(next_crawl_at=at))
        made.append(source.id)
    return made


def _end_crawls(deployment: Deployment) -> None:
    with suppress(Exception), deployment.services.database.write() as session:
        session.execute(update(Crawl).values(status="completed"))
