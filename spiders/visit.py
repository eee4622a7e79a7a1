"""One visit to one URL, from the permission to ask to the outcome."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import monotonic
from typing import Protocol

from pipeline.addresses import check_url
from pipeline.errors import (
    AddressRefused,
    ExtractionFailed,
    InvalidInput,
    InvalidUrl,
    PageTooComplex,
    PageTooSlow,
    ParserEnded,
    SitewiseError,
)
from pipeline.model import Discovered, Document, FrontierUrl, Outcome, Reason
from pipeline.settings import Settings
from pipeline.urls import canonical, split, url_key
from spiders.allowance import Allowance
from spiders.body import DOCUMENT, why_not_html
from spiders.fetch import Answer, FetchFailed
from spiders.gate import NoRobots, RobotsGate
from spiders.pace import BUSY, HostClosed, Pace
from spiders.redirects import MAXIMUM_REDIRECTS, Redirects
from spiders.rendering import Rendering
from spiders.robots import header_directives, product_token
from spiders.scope import Scope
from spiders.verdict import Verdict, is_login, judge, links_of

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAXIMUM_COOKIES = 20
_COOKIE_LENGTH = 4_096


class Parser(Protocol):
    """What turns HTML into a document; it blocks, and bounds time and memory itself."""

    def extract(self, html: bytes, *, url: str, content_type: str, within: float | None = None) -> Document:
        """The document of a page, or none within so many seconds.

        Raises:
            ExtractionFailed: If it cannot be read within the limits.
        """
        ...


class Asker(Protocol):
    """What fetches a page."""

    async def get(self, url: str, *, headers: Mapping[str, str], keep_pace: bool, within: float) -> Answer:
        """GET one URL within so many seconds.

        Raises:
            FetchFailed: If no usable answer came.
        """
        ...


class Refused(Exception):
    """A URL leads to nothing that is kept."""

    def __init__(
        self,
        reason: Reason,
        detail: str | None = None,
        *,
        status: int | None = None,
        discovered: tuple[Discovered, ...] = (),
        leads_to: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.leads_to = leads_to
        self.reason = reason
        self.detail = detail
        self.status = status
        self.discovered = discovered


class TryLater(Exception):
    """A host is busy or broken for now; how long it wants to be left alone, the pace was told.

    Or a page ended its parser: once may be chance, so it is tried again before it is taken for poison.
    """

    def __init__(self, detail: str, status: int, *, reason: Reason = Reason.HTTP_ERROR) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.reason = reason


@dataclass(slots=True)
class Visitor:
    """Visits URLs of one crawl. One is enough for any number of visits at a time."""

    settings: Settings
    fetcher: Asker
    gate: RobotsGate
    pace: Pace
    scope: Scope
    parser: Parser
    executor: Executor
    redirects: Redirects = field(default_factory=Redirects)
    rendering: Rendering | None = None
    takes_documents: bool = False
    clock: Callable[[], float] = monotonic
    """Seconds, for what a page may take."""

    async def visit(self, taken: FrontierUrl) -> Outcome:
        """Fetch a URL and say what became of it."""
        outcome = Outcome(url_key=taken.url_key, url=taken.url, fetched_at=datetime.now(UTC))
        try:
            return await self._visit(taken, outcome)
        except Refused as refused:
            return replace(
                outcome,
                reason=refused.reason,
                detail=refused.detail,
                http_status=refused.status,
                discovered=refused.discovered,
                final_url=refused.leads_to,
            )
        except HostClosed as closed:
            waits = closed.until is not None
            return replace(
                outcome, reason=Reason.HTTP_ERROR, detail=closed.detail, retry_at=closed.until, untried=waits
            )
        except (TryLater, NoRobots, FetchFailed) as failed:
            return self._put_back(taken, outcome, _setback(failed))
        except InvalidInput as error:  # of this URL or one it leads to: the crawl goes on
            return replace(outcome, reason=Reason.HTTP_ERROR, detail=f"{type(error).__name__}: {error}")

    async def _visit(self, taken: FrontierUrl, outcome: Outcome) -> Outcome:
        refusal = self.scope.rules.decide(taken.url, taken.depth)
        if refusal is not None and taken.depth > 0:
            raise Refused(refusal)
        trap = self.scope.trap(taken.url, taken.url_key) if taken.depth > 0 else None
        if trap is not None:
            raise Refused(Reason.PAGE_LIMIT, trap)
        allowance = self._allowance()
        answer = await self._follow(taken, allowance)
        outcome = replace(
            outcome,
            final_url=answer.url if answer.url != taken.url else None,
            http_status=answer.status,
            etag=answer.header("etag"),
            last_modified=answer.header("last-modified"),
        )
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return replace(outcome, not_modified=True)
        self._check(answer)
        if self.rendering is None and _is_as_before(taken, answer):
            return replace(outcome, not_modified=True)
        document = await self._extract(answer, allowance)
        if self.rendering is not None and self.rendering.wants(document, answer.body):
            answer = await self._rendered(taken, answer, self.rendering)
            document = await self._extract(answer, self._allowance())
            outcome = replace(outcome, etag=None, last_modified=None)
        return self._judged(taken, answer, document, outcome, refusal)

    # --- asking ----------------------------------------------------------------------------

    async def _follow(self, taken: FrontierUrl, allowance: Allowance) -> Answer:
        """The answer at the end of redirects that stay on this page; others are pages of their own."""
        url, cookies = taken.url, dict[str, str]()
        headers = {} if self.rendering is not None and self.rendering.is_always else _conditions(taken)
        for _ in range(MAXIMUM_REDIRECTS + 1):
            answer = await self._ask(url, headers | _cookie_header(cookies), allowance)
            if answer.status not in _REDIRECTS:
                return answer
            target = self._target(taken, url, answer)
            before = dict(cookies)
            _collect(cookies, answer.headers.get("set-cookie", []))
            if target == url and cookies == before:
                raise Refused(Reason.REDIRECT_LOOP, f"redirects to itself: {url}", status=answer.status)
            url = target
        raise Refused(Reason.REDIRECT_LOOP, f"over {MAXIMUM_REDIRECTS} redirects", status=answer.status)

    async def _ask(self, url: str, headers: Mapping[str, str], allowance: Allowance) -> Answer:
        rules = await self.gate.rules(url)
        if not rules.allows(url):
            raise Refused(Reason.ROBOTS, f"robots.txt of {split(url).origin} forbids it")
        host = split(url).site
        async with self.pace.turn(host) as turn:
            is_paced = bool(rules.delay or self.settings.crawl.delay)
            with allowance.spending() as left:
                answer = await self.fetcher.get(url, headers=headers, keep_pace=is_paced, within=left)
            await turn.heard(answer)
        return answer

    def _target(self, taken: FrontierUrl, url: str, answer: Answer) -> str:
        """Where a redirect goes on within this visit; other pages and sites end it."""
        try:
            target = canonical(answer.header("location") or "", url)
        except InvalidUrl as error:
            raise Refused(
                Reason.HTTP_ERROR, f"redirects to no URL: {error.facts.get('problem')}", status=answer.status
            ) from error
        if is_login(target) and not is_login(taken.url):
            raise Refused(Reason.LOGIN_WALL, f"redirects to {target}", status=answer.status)
        if not self.scope.rules.is_ours(target):
            raise self._off_site(target, answer.status)
        if url_key(target) == taken.url_key:
            return target
        if not self.redirects.follow(taken.url_key, url_key(target)):
            raise Refused(Reason.REDIRECT_LOOP, f"redirects to {target}", status=answer.status)
        found = self.scope.discover_all([target], base=url, depth=taken.depth, found_on=taken.url)
        raise Refused(
            Reason.DUPLICATE_OF, f"redirects to {target}", status=answer.status, discovered=found, leads_to=target
        )

    def _off_site(self, target: str, status: int) -> Refused:
        try:
            check_url(target, self.settings.crawl)
        except AddressRefused as refused:
            return Refused(Reason.ADDRESS_REFUSED, f"redirects to {target}: {refused}", status=status)
        return Refused(Reason.OFF_SITE, f"redirects to {target}", status=status, leads_to=target)

    def _allowance(self) -> Allowance:
        return Allowance(self.settings.crawl.page_timeout, self.clock)

    # --- rendering -------------------------------------------------------------------------

    async def _rendered(self, taken: FrontierUrl, answer: Answer, rendering: Rendering) -> Answer:
        """The page with its scripts run; where they lead elsewhere, that is a redirect like any other."""
        rendered, leads_to = await rendering.render(answer, self._ask_for_page)
        if leads_to is not None:
            self._target(taken, answer.url, replace(answer, headers={"location": [leads_to]}))
        return rendered

    async def _ask_for_page(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        """What a page's script asks for, under the rules for pages; None where those forbid it."""
        try:
            return await self._ask(url, headers, self._allowance())
        except (Refused, NoRobots, HostClosed):
            return None

    # --- judging ---------------------------------------------------------------------------

    def _check(self, answer: Answer) -> None:
        """Let pass what may be a page."""
        if answer.status in BUSY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TryLater(f"answered {answer.status}", answer.status)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise Refused(Reason.LOGIN_WALL, "answered 401", status=answer.status)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise Refused(Reason.HTTP_ERROR, f"answered {answer.status}", status=answer.status)
        problem = why_not_html(answer.body, answer.content_type)
        if problem is not None and not (self.takes_documents and answer.body.startswith(DOCUMENT)):
            raise Refused(Reason.NOT_HTML, problem, status=answer.status)

    async def _extract(self, answer: Answer, allowance: Allowance) -> Document:
        def parse() -> Document:
            with allowance.spending() as left:
                return self.parser.extract(answer.body, url=answer.url, content_type=answer.content_type, within=left)

        try:
            return await asyncio.get_running_loop().run_in_executor(self.executor, parse)
        except ParserEnded as error:
            raise self._poisonous(error, answer) from error
        except PageTooComplex as error:
            raise Refused(Reason.TOO_COMPLEX, str(error), status=answer.status) from error
        except PageTooSlow as error:
            if error.facts.get("seconds") == self.settings.extract.timeout.total_seconds():
                raise self._poisonous(error, answer) from error
            raise Refused(Reason.TOO_SLOW, str(error), status=answer.status) from error
        except ExtractionFailed as error:
            raise Refused(Reason.NOT_HTML, str(error), status=answer.status) from error

    @staticmethod
    def _poisonous(error: SitewiseError, answer: Answer) -> TryLater:
        """A page that ended its parser, or kept it busy until that was stopped."""
        return TryLater(f"{type(error).__name__}: {error}", answer.status, reason=Reason.POISON)

    def _judged(
        self, taken: FrontierUrl, answer: Answer, document: Document, outcome: Outcome, refusal: Reason | None
    ) -> Outcome:
        link_headers = answer.headers.get("link", [])
        directives = header_directives(
            answer.headers.get("x-robots-tag", []), product_token(self.settings.crawl.user_agent)
        )
        verdict = judge(
            document,
            url=answer.url,
            found_on=taken.found_on,
            directives=directives,
            canonical_header=next(iter(links_of(link_headers, "canonical")), None),
            is_ours=self.scope.rules.is_ours,
            minimum_words=self.settings.extract.minimum_words,
        )
        verdict = self._led_on(taken, verdict)
        is_page = verdict is None or verdict.follows_links
        self.scope.traps.note(taken.url, document if is_page else None)
        instead = [verdict.instead] if verdict is not None and verdict.instead is not None else []
        found = self.scope.discover_all(instead, base=answer.url, depth=taken.depth, found_on=taken.url)
        if not (document.nofollow or "nofollow" in directives) and is_page:
            urls = [link.url for link in document.links if not link.nofollow]
            urls += [url for _, url in document.alternates] + links_of(link_headers, "next")
            found += self.scope.discover_all(urls, base=answer.url, depth=taken.depth + 1, found_on=taken.url)
        outcome = replace(outcome, discovered=found)
        if refusal is not None:
            return replace(outcome, reason=refusal, detail="the start page, read for its links")
        if verdict is not None:
            final_url = verdict.instead or outcome.final_url
            return replace(outcome, reason=verdict.reason, detail=verdict.detail, final_url=final_url)
        return replace(outcome, document=document, html=answer.body)

    def _led_on(self, taken: FrontierUrl, verdict: Verdict | None) -> Verdict | None:
        """A refresh to another page is a redirect like any other: a circle of them, or the sixth, leads nowhere."""
        if verdict is None or verdict.reason is not Reason.DUPLICATE_OF or verdict.instead is None:
            return verdict
        if self.redirects.follow(taken.url_key, url_key(verdict.instead)):
            return verdict
        return replace(verdict, reason=Reason.REDIRECT_LOOP, instead=None)

    def _put_back(self, taken: FrontierUrl, outcome: Outcome, setback: _Setback) -> Outcome:
        """Try again later, or say at last why it never worked."""
        is_busy = setback.status == HTTPStatus.TOO_MANY_REQUESTS
        retry_at = None if setback.is_final else self.pace.retry(taken, setback.asked, is_busy=is_busy)
        return replace(
            outcome, reason=setback.reason, detail=setback.detail, http_status=setback.status, retry_at=retry_at
        )


@dataclass(frozen=True, slots=True)
class _Setback:
    """Why a visit failed, and whether it may succeed later."""

    reason: Reason
    detail: str
    status: int | None = None
    asked: timedelta | None = None
    is_final: bool = False


def _setback(failed: TryLater | NoRobots | FetchFailed) -> _Setback:
    if isinstance(failed, TryLater):
        return _Setback(failed.reason, failed.detail, failed.status)
    if isinstance(failed, NoRobots):
        return _Setback(failed.reason, failed.detail, asked=failed.asked, is_final=failed.is_final)
    return _Setback(failed.reason, failed.detail, is_final=not failed.is_temporary)


def _is_as_before(taken: FrontierUrl, answer: Answer) -> bool:
    """Whether the very bytes came again, with no header that says more about them: no need to parse those."""
    if taken.body_hash is None or "x-robots-tag" in answer.headers or "link" in answer.headers:
        return False
    return hashlib.sha256(answer.body).hexdigest() == taken.body_hash


def _conditions(taken: FrontierUrl) -> dict[str, str]:
    conditions = {"If-None-Match": taken.etag, "If-Modified-Since": taken.last_modified}
    return {name: value for name, value in conditions.items() if value}


def _cookie_header(cookies: Mapping[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}


def _collect(cookies: dict[str, str], values: list[str]) -> None:
    """Keep cookies for the rest of one chain of redirects; some sites go in circles without."""
    for value in values:
        name, equals, content = value.partition(";")[0].strip().partition("=")
        if equals and name and len(value) <= _COOKIE_LENGTH and len(cookies) < _MAXIMUM_COOKIES:
            cookies[name] = content
