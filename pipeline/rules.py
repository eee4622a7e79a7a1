"""Which URLs of a site a crawl may take: the site's own hosts, how deep, and the customer's patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast
from urllib.parse import unquote

import re2  # type: ignore[import-untyped]

from pipeline.errors import InvalidHost, InvalidInput, InvalidPattern, InvalidUrl
from pipeline.model import Reason
from pipeline.urls import UrlParts, split

MAXIMUM_PATTERNS = 50
MAXIMUM_PATTERN_LENGTH = 500
MAXIMUM_HOSTS = 50
_SHORTEST_DOMAIN = 2  # labels: `*.com` would be half the internet
_NOTHING_IN_COMMON = ("/", "/Qx7-_~%C3%9C/k.3", "/zj(4)?W=%20&v[0]=9")
_PATTERN_MEMORY = 2**20  # bytes RE2 may use for one pattern
_STARS = re.compile(r"\*+")
_REPEATS = 3  # a path that says the same thing this often is a trap


class Compiled(Protocol):
    """What RE2 makes of a pattern."""

    def search(self, text: str) -> object:
        """A match, or None."""
        ...

    def fullmatch(self, text: str) -> object:
        """A match of the whole text, or None."""
        ...


@dataclass(frozen=True, slots=True)
class PathPattern:
    """One rule: a glob over path and query, or `re:` and an RE2 expression found anywhere in them."""

    source: str
    compiled: Compiled
    is_glob: bool
    sees_query: bool

    @classmethod
    def read(cls, source: str) -> Self:
        """Compile a rule.

        Raises:
            InvalidPattern: If it is empty, too long, can match no path, or RE2 cannot read it.
        """
        if not source.strip():
            raise InvalidPattern(pattern=source, problem="empty")
        if len(source) > MAXIMUM_PATTERN_LENGTH:
            raise InvalidPattern(pattern=f"{source[:40]}…", problem=f"longer than {MAXIMUM_PATTERN_LENGTH} characters")
        is_glob = not source.startswith("re:")
        if is_glob and not source.startswith(("/", "*")):
            raise InvalidPattern(pattern=source, problem=f"matches nothing: paths begin with /; {_meant(source)}")
        expression = _glob(source) if is_glob else source.removeprefix("re:")
        return cls(source, _compile(expression, source), is_glob, "?" in source)

    def matches(self, parts: UrlParts) -> bool:
        """Whether the rule means this URL, spelt with or without percent-encoding."""
        return any(self._finds(text) for text in _spellings(parts, sees_query=self.sees_query or not self.is_glob))

    def _finds(self, text: str) -> bool:
        found = self.compiled.fullmatch(text) if self.is_glob else self.compiled.search(text)
        return found is not None


def read_patterns(sources: Sequence[str], *, field: str = "paths") -> tuple[PathPattern, ...]:
    """Compile include or exclude rules, which the caller gave as `field`.

    Raises:
        InvalidPattern: If there are over 50, or one cannot be read; it names the field and the one.
    """
    if len(sources) > MAXIMUM_PATTERNS:
        raise InvalidPattern(field=field, given=f"{len(sources)} rules", allowed=f"at most {MAXIMUM_PATTERNS}")
    try:
        return tuple(PathPattern.read(source) for source in sources)
    except InvalidPattern as error:
        raise InvalidPattern(field=field, **error.facts) from error


@dataclass(frozen=True, slots=True)
class SiteHosts:
    """The hosts of one site: the start's own and its www twin, and those its datasource adds.

    Hosts are folded, with their port when it is not 80 or 443; `domains` begin with a dot.
    """

    start: str
    others: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()

    @classmethod
    def read(cls, start_url: str, *, subdomains: bool = False, extra: Sequence[str] = ()) -> Self:
        """The hosts of a datasource.

        Args:
            start_url: Where its crawls start.
            subdomains: Whether every host under the start's own is of the site.
            extra: More hosts, as `help.example.org`, or `*.example.org` for all under one.

        Raises:
            InvalidUrl: If the start URL cannot be crawled.
            InvalidHost: If an extra host is none, or the start has no subdomains.
        """
        start = split(start_url)
        if subdomains and not _has_subdomains(start):
            raise InvalidHost(field="subdomains", given=start.host, problem="only a name with a dot has subdomains")
        if len(extra) > MAXIMUM_HOSTS:
            raise InvalidHost(field="extra_hosts", given=f"{len(extra)} hosts", allowed=f"at most {MAXIMUM_HOSTS}")
        wide = [_read_host(host.removeprefix("*."), host).site for host in extra if host.startswith("*.")]
        others = frozenset(_read_host(host, host).site for host in extra if not host.startswith("*."))
        own = [start.site] if subdomains else []
        return cls(start.site, others, tuple(dict.fromkeys(f".{domain}" for domain in own + wide)))

    def has(self, site: str) -> bool:
        """Whether this folded host is of the site."""
        return site == self.start or site in self.others or site.endswith(self.domains)


@dataclass(frozen=True, slots=True)
class CrawlRules:
    """What one crawl may take."""

    hosts: SiteHosts
    include: tuple[PathPattern, ...] = ()
    exclude: tuple[PathPattern, ...] = ()
    depth_limit: int = 10

    @classmethod
    def read(
        cls,
        start_url: str,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        depth_limit: int = 10,
        subdomains: bool = False,
        extra_hosts: Sequence[str] = (),
    ) -> Self:
        """Rules of a datasource.

        Raises:
            InvalidUrl: If the start URL cannot be crawled.
            InvalidHost: If an extra host is none.
            InvalidPattern: If a rule cannot be read.
        """
        return cls(
            SiteHosts.read(start_url, subdomains=subdomains, extra=extra_hosts),
            read_patterns(include, field="include_paths"),
            read_patterns(exclude, field="exclude_paths"),
            depth_limit,
        )

    def is_ours(self, url: str) -> bool:
        """Whether a URL is of this site.

        Raises:
            InvalidUrl: If it is none.
        """
        return self.hosts.has(split(url).site)

    def decide(self, url: str, depth: int) -> Reason | None:
        """Why a crawl leaves `url` out, found `depth` links from the start; None when it takes it.

        Raises:
            InvalidUrl: If `url` is none.
        """
        parts = split(url)
        if not self.hosts.has(parts.site):
            return Reason.OFF_SITE
        if self.excludes(parts):
            return Reason.EXCLUDED_RULE
        if depth > self.depth_limit or repeats_itself(parts.path):
            return Reason.DEPTH
        return None

    def excludes(self, parts: UrlParts) -> bool:
        """Whether the customer's patterns leave a URL out; exclude wins over include."""
        if any(pattern.matches(parts) for pattern in self.exclude):
            return True
        return bool(self.include) and not any(pattern.matches(parts) for pattern in self.include)

    def excluded_by(self, parts: UrlParts) -> str | None:
        """Which of the customer's patterns leaves a URL out, in words; None when none does."""
        for pattern in self.exclude:
            if pattern.matches(parts):
                return f"exclude_paths: {pattern.source}"
        return "no include_paths rule matches" if self.excludes(parts) else None


def refuse_hopeless(rules: CrawlRules) -> None:
    """Refuse rules that no page can pass.

    Raises:
        InvalidInput: Naming the rule that leaves nothing.
    """
    for pattern in rules.exclude:
        if all(pattern.matches(split(f"https://{rules.hosts.start}{target}")) for target in _NOTHING_IN_COMMON):
            raise InvalidInput(field="exclude_paths", given=pattern.source, problem="matches every page")
    excluded = {pattern.source for pattern in rules.exclude}
    if rules.include and all(pattern.source in excluded for pattern in rules.include):
        raise InvalidInput(
            field="exclude_paths", given=rules.include[0].source, problem="all that is included is excluded as well"
        )


def repeats_itself(path: str) -> bool:
    """Whether a path goes in circles: `/a/a/a/`, or `/a/b/a/b/a/b/`."""
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) < _REPEATS:
        return False
    for period in range(1, len(segments) // _REPEATS + 1):
        run = 0
        for index in range(period, len(segments)):
            run = run + 1 if segments[index] == segments[index - period] else 0
            if run >= period * (_REPEATS - 1):
                return True
    return False


def _has_subdomains(parts: UrlParts) -> bool:
    name = parts.site.partition(":")[0]
    return len(name.split(".")) >= _SHORTEST_DOMAIN and not name.rpartition(".")[2].isdigit() and "[" not in parts.site


def _read_host(name: str, given: str) -> UrlParts:
    """A host that a datasource adds, as the parts of its front page."""
    try:
        parts = split(f"https://{name}/")
    except InvalidUrl as error:
        raise InvalidHost(field="extra_hosts", given=given, problem=error.facts.get("problem")) from error
    if parts.target != "/" or "#" in name:
        raise InvalidHost(field="extra_hosts", given=given, problem="more than a host")
    if given.startswith("*.") and not _has_subdomains(parts):
        raise InvalidHost(field="extra_hosts", given=given, problem="only a name with a dot has subdomains")
    return parts


def _meant(source: str) -> str:
    """What somebody who wrote this rule probably meant."""
    try:
        return f"is {split(source).target} meant?"
    except InvalidUrl:
        return f"is /{source} meant?"


def _glob(source: str) -> str:
    """`*` is any text, slashes included; a doubled `*` is one; everything else means itself."""
    return "(?s)" + ".*".join(re2.escape(part) for part in _STARS.split(source))


def _compile(expression: str, source: str) -> Compiled:
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    try:
        return cast("Compiled", re2.compile(expression, options))
    except re2.error as error:
        problem = error.args[0] if error.args else "cannot be read"
        told = problem.decode(errors="replace") if isinstance(problem, bytes) else str(problem)
        raise InvalidPattern(pattern=source, problem=told) from error


def _spellings(parts: UrlParts, *, sees_query: bool) -> list[str]:
    texts = [parts.target] if parts.query is not None else []
    if parts.query is None or not sees_query:
        texts.append(parts.path)
    return texts + [unquote(text) for text in texts if "%" in text]
