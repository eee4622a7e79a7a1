"""Schedules, status, dead letters and reading again, elsewhere."""

from __future__ import annotations

import itertools
from uuid import UUID

from pipeline.cli.remote.views import Remote, view_of
from pipeline.client import crawls, standing
from pipeline.client.answers import Redriven as Answered
from pipeline.errors import DatasourceNotFound, DeadLetterNotFound, InvalidUrl
from pipeline.services.crawls import CrawlJob
from pipeline.services.dead_letters import LetterView, Redriven
from pipeline.services.org_overview import OrgOverview
from pipeline.services.rereading import Rereading
from pipeline.services.schedules import ScheduleView
from pipeline.urls import url_key

MOST_UPCOMING = 100


class RemoteSchedules(Remote):
    """When websites are crawled."""

    def list_schedules(self, *, scope: object) -> list[ScheduleView]:
        """The org's websites, oldest first."""
        del scope
        return [view_of(ScheduleView, one) for one in self._client.each(standing.schedules())]

    def upcoming(self, *, scope: object, limit: int = 20) -> list[ScheduleView]:
        """What is crawled next; of more than 100, the first 100."""
        del scope
        found = self._client.send(standing.upcoming(limit=min(limit, MOST_UPCOMING)))
        return [view_of(ScheduleView, one) for one in found["items"]]

    def pause(self, website: str, *, scope: object) -> ScheduleView:
        """Start no crawl of it by the clock.

        Raises:
            DatasourceNotFound: If the org has no website of this URL or id.
        """
        return self._set(website, "paused", scope=scope)

    def resume(self, website: str, *, scope: object) -> ScheduleView:
        """Crawl it by the clock again.

        Raises:
            DatasourceNotFound: If the org has no website of this URL or id.
        """
        return self._set(website, "active", scope=scope)

    def run(self, website: str, *, scope: object) -> CrawlJob:
        """Crawl it now.

        Raises:
            DatasourceNotFound: If the org has no website of this URL or id.
        """
        found = self._find(website, scope=scope)
        return view_of(CrawlJob, self._client.send(crawls.start(str(found.datasource_id))))

    def _set(self, website: str, status: str, *, scope: object) -> ScheduleView:
        found = self._find(website, scope=scope)
        self._client.send(crawls.change(str(found.datasource_id), {"status": status}))
        return self._find(str(found.datasource_id), scope=scope)

    def _find(self, website: str, *, scope: object) -> ScheduleView:
        try:
            key = url_key(website)
        except InvalidUrl:
            key = None
        for view in self.list_schedules(scope=scope):
            if str(view.datasource_id) == website or (key is not None and url_key(view.url) == key):
                return view
        raise DatasourceNotFound(website=website)


class RemoteOverview(Remote):
    """How the org's work stands."""

    def overview(self, *, scope: object) -> OrgOverview:
        """How it stands now."""
        del scope
        return view_of(OrgOverview, self._client.send(standing.status()))

    def parts(self) -> dict[str, str]:
        """Each part of the deployment, and `ok` or why not."""
        parts: dict[str, str] = self._client.send(standing.ready())["parts"]
        return parts


class RemoteDeadLetters(Remote):
    """What died."""

    def list_letters(self, *, scope: object, cause: str | None = None, limit: int | None = None) -> list[LetterView]:
        """The latest first."""
        del scope
        found = self._client.each(standing.dead_letters(cause=cause))
        return [view_of(LetterView, one) for one in itertools.islice(found, limit)]

    def show(self, letter_id: UUID, *, scope: object) -> LetterView:
        """One dead letter.

        Raises:
            DeadLetterNotFound: If the org has none of this id.
        """
        del scope
        missing = DeadLetterNotFound(letter=letter_id)
        return view_of(LetterView, self._sent(standing.dead_letter(str(letter_id)), missing))

    def redrive(self, letter_id: UUID, *, scope: object) -> Redriven:
        """Put one back.

        Raises:
            DeadLetterNotFound: If the org has none of this id.
        """
        del scope
        missing = DeadLetterNotFound(letter=letter_id)
        return view_of(Redriven, self._sent(standing.redrive(str(letter_id)), missing))

    def redrive_all(self, *, scope: object, cause: str | None = None) -> Redriven:
        """Put them back, as many at a time as the server takes, until none of what is left can be."""
        del scope
        every: list[Answered] = []
        while not every or every[-1]["pages"] + every[-1]["crawls"]:
            every.append(self._client.send(standing.redrive_all(cause=cause)))
        return Redriven(
            pages=sum(one["pages"] for one in every),
            crawls=sum(one["crawls"] for one in every),
            passed_over=every[-1]["passed_over"],
        )


class RemoteRereading(Remote):
    """Stored pages, read again."""

    def start(self, *, scope: object) -> Rereading:
        """Let workers read them."""
        del scope
        return view_of(Rereading, self._client.send(standing.start_rereading()))

    def status(self, *, scope: object) -> Rereading:
        """How far it is."""
        del scope
        return view_of(Rereading, self._client.send(standing.rereading()))

    def cancel(self, *, scope: object) -> Rereading:
        """Read no more."""
        del scope
        return view_of(Rereading, self._client.send(standing.cancel_rereading()))
