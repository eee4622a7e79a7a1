"""Commands against a deployment elsewhere: what they ask of services, asked over HTTP.

`RemoteServices` has the services whose use cases have a route, as far as commands need them, with the same results. A
command whose service is not here says that it works only where Sitewise itself is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from pipeline.client import Client, ServerRefused, crawls, retrieval, training
from pipeline.client.call import Call, get, post
from pipeline.errors import CrawlNotFound, InvalidInput, PageNotFound
from pipeline.model import Briefing
from pipeline.services.crawls import CrawlJob
from pipeline.services.pages import PageDetail, PageSlice, PageView
from pipeline.services.pages import VersionView as PageVersionView
from pipeline.services.reasons import Why
from pipeline.services.training_text import DirectoryView, ScenarioView, VersionView

if TYPE_CHECKING:
    from pipeline.services.answers import Question
    from pipeline.services.training import NewScenario

View = TypeVar("View")
NOT_FOUND = 404


class NotOverServer(InvalidInput):
    """This command works only on the machine where Sitewise runs."""

    remedy = "Run it there, without --server."


@dataclass(frozen=True, slots=True)
class RemoteStored:
    """A briefing as it was given, the message it answered, and when."""

    message: str
    asked_at: datetime
    kept_until: datetime
    briefing: Briefing


@dataclass(frozen=True, slots=True)
class Website:
    """A website, as far as lists name it."""

    id: UUID
    url: str
    display_name: str


def view_of(kind: type[View], answer: object, **more: object) -> View:
    """An answer as the command's own services would give it; fields it has not are those in `more`."""
    assert isinstance(answer, dict)  # noqa: S101 - every answer is an object
    assert is_dataclass(kind)  # noqa: S101 - every view is one
    known = {field.name for field in fields(kind)}
    given = {name: value for name, value in (more | answer).items() if name in known}
    return TypeAdapter(kind).validate_python(given)


class RemoteServices:
    """The use cases of a deployment elsewhere, for the org of a key.

    Args:
        client: Sends requests.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @cached_property
    def crawls(self) -> RemoteCrawls:
        """Crawls."""
        return RemoteCrawls(self._client)

    @cached_property
    def history(self) -> RemoteDecisions:
        """Decisions about held crawls."""
        return RemoteDecisions(self._client, self.crawls)

    @cached_property
    def pages(self) -> RemotePages:
        """Pages."""
        return RemotePages(self._client)

    @cached_property
    def training(self) -> RemoteTraining:
        """Scenarios."""
        return RemoteTraining(self._client)

    @cached_property
    def directories(self) -> RemoteDirectories:
        """Folders of scenarios."""
        return RemoteDirectories(self._client)

    @cached_property
    def answers(self) -> RemoteAnswers:
        """Briefings."""
        return RemoteAnswers(self._client)

    @cached_property
    def briefings(self) -> RemoteAnswers:
        """Briefings given before."""
        return self.answers

    def __getattr__(self, name: str) -> NoReturn:
        raise NotOverServer(needs=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()


class Remote:
    """Part of a deployment elsewhere. What it has no route for, it refuses."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> NoReturn:
        raise NotOverServer(needs=name)

    def _websites(self) -> Iterator[Website]:
        return (view_of(Website, found) for found in self._client.each(crawls.websites()))

    def _first(self, ask: Callable[[Website], Call[Any]], website_of: str | None = None) -> tuple[Website, Any] | None:
        """The first website that knows what is asked for, and its answer."""
        for website in self._websites():
            if website_of in {None, str(website.id)}:
                try:
                    return website, self._client.send(ask(website))
                except ServerRefused as refused:
                    if refused.status != NOT_FOUND:
                        raise
        return None


class RemoteCrawls(Remote):
    """Crawls of the org."""

    def list_jobs(self, *, scope: object, limit: int = 20) -> list[CrawlJob]:
        """The newest crawls of all websites."""
        del scope
        found = [
            view_of(CrawlJob, job)
            for website in self._websites()
            for job in itertools.islice(self._client.each(crawls.jobs(str(website.id))), limit)
        ]
        return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]

    def list_datasources(self, *, scope: object) -> list[Website]:
        """The org's websites."""
        del scope
        return list(self._websites())

    def job(self, crawl_id: UUID, *, scope: object) -> CrawlJob:
        """How a crawl stands."""
        del scope
        return self.found(crawl_id)[1]

    def cancel(self, crawl_id: UUID, *, scope: object) -> CrawlJob:
        """End a crawl."""
        del scope
        return self.decide(crawl_id, "cancel")

    def found(self, crawl_id: UUID) -> tuple[Website, CrawlJob]:
        """A crawl and its website.

        Raises:
            CrawlNotFound: If the org has no such crawl.
        """
        found = self._first(lambda website: crawls.job(str(website.id), str(crawl_id)))
        if found is None:
            raise CrawlNotFound(crawl=crawl_id)
        return found[0], view_of(CrawlJob, found[1])

    def decide(self, crawl_id: UUID, decision: Literal["cancel", "approve", "reject"]) -> CrawlJob:
        """End a crawl, or decide about what it holds."""
        website, _ = self.found(crawl_id)
        return view_of(CrawlJob, self._client.send(crawls.decide(str(website.id), str(crawl_id), decision)))


class RemoteDecisions(Remote):
    """Decisions about what crawls hold."""

    def __init__(self, client: Client, jobs: RemoteCrawls) -> None:
        super().__init__(client)
        self._jobs = jobs

    def approve(self, crawl_id: UUID, *, scope: object) -> int:
        """Carry it out. Returns how many pages were held."""
        return self._decide(crawl_id, "approve", scope=scope)

    def reject(self, crawl_id: UUID, *, scope: object) -> int:
        """Keep what serves. Returns how many pages were held."""
        return self._decide(crawl_id, "reject", scope=scope)

    def _decide(self, crawl_id: UUID, decision: Literal["approve", "reject"], *, scope: object) -> int:
        held = self._jobs.job(crawl_id, scope=scope).held_pages
        self._jobs.decide(crawl_id, decision)
        return held


class RemotePages(Remote):
    """Pages of the org."""

    def page_through(
        self, *, scope: object, search: str | None = None, status: str | None = None, limit: int = 100
    ) -> PageSlice:
        """Pages of all websites, one after the other."""
        del scope
        found = (
            view_of(PageView, page, datasource_id=website.id, detail=None, target=None)
            for website in self._websites()
            for page in self._client.each(crawls.pages(str(website.id), status=status, q=search))
        )
        items = tuple(itertools.islice(found, limit + 1))
        return PageSlice(items[:limit], "more" if len(items) > limit else None)

    def show(self, url: str, *, scope: object) -> PageDetail:
        """A page with its text and its versions; what was kept out of the text is told only where Sitewise runs.

        Raises:
            PageNotFound: If the org has no such page.
        """
        del scope
        for website in self._websites():
            page_id = self._client.send(crawls.why(str(website.id), url))["page_id"]
            if page_id is not None:
                answer = self._client.send(crawls.page(str(website.id), page_id))
                return PageDetail(
                    page=view_of(PageView, answer, datasource_id=website.id, detail=None, target=None),
                    versions=tuple(
                        view_of(PageVersionView, version, embedded=0, extractor="") for version in answer["versions"]
                    ),
                    markdown=answer["markdown"],
                    dropped=(),
                )
        raise PageNotFound(url=url)

    def why(self, url: str, *, scope: object, datasource_id: UUID | None = None) -> Why:
        """Whether a URL is known to a website of the org, and why; of several, by the first that serves it.

        Raises:
            PageNotFound: If the org has no website.
        """
        del scope
        told = [
            view_of(Why, self._client.send(crawls.why(str(website.id), url)))
            for website in self._websites()
            if datasource_id in {None, website.id}
        ]
        if not told:
            raise PageNotFound(url=url, problem="the org has no website")
        return next((why for why in told if why.is_known), told[0])


class RemoteTraining(Remote):
    """Scenarios of the org."""

    def add(self, new: NewScenario, *, scope: object, by: str) -> ScenarioView:
        """Add a scenario."""
        del scope, by
        return view_of(ScenarioView, self._client.send(post("/training", _body(new))))

    def list_scenarios(self, *, scope: object, kind: str | None = None, words: str = "") -> list[ScenarioView]:
        """Scenarios, oldest first."""
        del scope
        return [view_of(ScenarioView, one) for one in self._client.each(training.scenarios(kind=kind, q=words or None))]

    def publish(self, scenario_id: object, *, scope: object, by: str) -> ScenarioView:
        """Use its draft."""
        del scope, by
        return view_of(ScenarioView, self._client.send(training.publish(str(scenario_id))))

    def versions(self, scenario_id: object, *, scope: object) -> list[VersionView]:
        """What was published, newest first."""
        del scope
        found = self._client.each(training.versions(str(scenario_id)))
        views = [view_of(VersionView, one, **_renamed(one)) for one in found]
        return sorted(views, key=lambda version: version.number, reverse=True)

    def roll_back(self, scenario_id: object, version: int, *, scope: object) -> ScenarioView:
        """Fill the draft with an old version."""
        del scope
        return view_of(ScenarioView, self._client.send(training.roll_back(str(scenario_id), version)))

    def delete(self, scenario_id: object, *, scope: object) -> None:
        """Remove a scenario."""
        del scope
        self._client.send(training.delete(str(scenario_id)))


class RemoteDirectories(Remote):
    """Folders of scenarios."""

    def add(self, name: str, *, scope: object) -> DirectoryView:
        """The folder of this name."""
        del scope
        answer: Call[Any] = get("/training/directories")
        for one in self._client.each(answer):
            if one["name"] == name:
                return view_of(DirectoryView, one)
        return view_of(DirectoryView, self._client.send(post("/training/directories", {"name": name})))


class RemoteAnswers(Remote):
    """Briefings for the org."""

    def brief(self, question: Question, *, scope: object) -> Briefing:
        """What an agent is told for a question."""
        del scope
        where = question.where
        filters = {"url_prefix": where.url_prefix} if where and where.url_prefix else {}
        asked: dict[str, Any] = {
            "channel": question.channel,
            "segments": list(question.segments),
            "language": question.language,
            "top_k": question.top_k,
            "trace": question.trace,
            "history": [{"role": str(turn.role), "content": turn.content} for turn in question.history],
            "filters": filters,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return view_of(Briefing, self._client.send(retrieval.retrieve(question.message, **given)))

    def get(self, briefing_id: UUID, *, scope: object) -> RemoteStored:
        """A briefing as it was given."""
        del scope
        answer = self._client.send(retrieval.briefing(str(briefing_id)))
        return view_of(RemoteStored, {**answer, "briefing": answer})


def _renamed(version: object) -> dict[str, object]:
    assert isinstance(version, dict)  # noqa: S101 - every answer is an object
    return {"number": version["version"], "created_at": version["published_at"]}


def _body(new: NewScenario) -> dict[str, Any]:
    """A scenario as the route takes it."""
    body: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(asdict(new), mode="json")
    return body
