"""The services of a deployment elsewhere, as far as commands need them."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import NoReturn, Self

from pipeline.cli.reach import NotOverServer
from pipeline.cli.remote.answering import RemoteAnswers, RemoteEvaluation
from pipeline.cli.remote.pages import RemoteHistory, RemotePages
from pipeline.cli.remote.partners import (
    RemoteAudit,
    RemoteErasure,
    RemoteKeys,
    RemoteLimits,
    RemoteOrgs,
    RemotePartners,
)
from pipeline.cli.remote.standing import RemoteDeadLetters, RemoteOverview, RemoteRereading, RemoteSchedules
from pipeline.cli.remote.training import RemoteDirectories, RemoteExchange, RemoteLint, RemoteTraining
from pipeline.cli.remote.websites import RemoteCrawls, RemotePreviews, RemoteWebsites
from pipeline.client import Client


class RemoteServices:
    """The use cases of a deployment elsewhere, for the org or the partner of a key.

    Args:
        client: Sends requests.
        org: Which org of a partner's is meant: its name, the partner's own id of it, or its id.
    """

    def __init__(self, client: Client, *, org: str = "") -> None:
        self._client = client
        self._org = org

    @cached_property
    def crawls(self) -> RemoteCrawls:
        """Crawls."""
        return RemoteCrawls(self._client)

    @cached_property
    def datasources(self) -> RemoteWebsites:
        """Websites."""
        return RemoteWebsites(self._client)

    @cached_property
    def previews(self) -> RemotePreviews:
        """Looks at websites."""
        return RemotePreviews(self._client)

    @cached_property
    def history(self) -> RemoteHistory:
        """What pages said, and decisions about held crawls."""
        return RemoteHistory(self._client, self.crawls)

    @cached_property
    def pages(self) -> RemotePages:
        """Pages."""
        return RemotePages(self._client)

    @cached_property
    def schedules(self) -> RemoteSchedules:
        """When websites are crawled."""
        return RemoteSchedules(self._client)

    @cached_property
    def org_overview(self) -> RemoteOverview:
        """How the org's work stands."""
        return RemoteOverview(self._client)

    @cached_property
    def dead_letters(self) -> RemoteDeadLetters:
        """What died."""
        return RemoteDeadLetters(self._client)

    @cached_property
    def rereading(self) -> RemoteRereading:
        """Stored pages, read again."""
        return RemoteRereading(self._client)

    @cached_property
    def training(self) -> RemoteTraining:
        """Scenarios."""
        return RemoteTraining(self._client)

    @cached_property
    def directories(self) -> RemoteDirectories:
        """Folders of scenarios."""
        return RemoteDirectories(self._client)

    @cached_property
    def exchange(self) -> RemoteExchange:
        """Scenarios as files."""
        return RemoteExchange(self._client)

    @cached_property
    def lint(self) -> RemoteLint:
        """What in training is in its own way."""
        return RemoteLint(self._client)

    @cached_property
    def answers(self) -> RemoteAnswers:
        """Briefings."""
        return RemoteAnswers(self._client)

    @cached_property
    def briefings(self) -> RemoteAnswers:
        """Briefings given before."""
        return self.answers

    @cached_property
    def evaluation(self) -> RemoteEvaluation:
        """Golden questions."""
        return RemoteEvaluation(self._client)

    @cached_property
    def orgs(self) -> RemoteOrgs:
        """The partner's orgs."""
        return RemoteOrgs(self._client)

    @cached_property
    def erasure(self) -> RemoteErasure:
        """Orgs that are to be forgotten."""
        return RemoteErasure(self._client)

    @cached_property
    def keys(self) -> RemoteKeys:
        """Keys of one of the partner's orgs."""
        return RemoteKeys(self._client, lambda: self.orgs.find(self._org).org_id)

    @cached_property
    def provisioning(self) -> RemotePartners:
        """The partner."""
        return RemotePartners(self._client)

    @cached_property
    def limits(self) -> RemoteLimits:
        """Limits of an org's own."""
        return RemoteLimits(self._client)

    @cached_property
    def audit(self) -> RemoteAudit:
        """The server keeps its own."""
        return RemoteAudit()

    def __getattr__(self, name: str) -> NoReturn:
        raise NotOverServer(needs=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
