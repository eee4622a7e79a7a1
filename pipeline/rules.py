"""Which URLs of a site a crawl may take: the site's own host, how deep, and the customer's patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast
from urllib.parse import unquote

import re2  # type: ignore[import-untyped]

from pipeline.errors import InvalidPattern
from pipeline.model import Reason
from pipeline.urls import UrlParts, site_key, split

MAXIMUM_PATTERNS = 50
MAXIMUM_PATTERN_LENGTH = 500
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
            InvalidPattern: If it is empty, too long, or RE2 cannot read it.
        """
        if not source.strip():
            raise InvalidPattern(pattern=source, problem="empty")
        if len(source) > MAXIMUM_PATTERN_LENGTH:
            raise InvalidPattern(pattern=f"{source[:40]}…", problem=f"longer than {MAXIMUM_PATTERN_LENGTH} characters")
        is_glob = not source.startswith("re:")
        expression = _glob(source) if is_glob else source.removeprefix("re:")
        return cls(source, _compile(expression, source), is_glob, "?" in source)

    def matches(self, parts: UrlParts) -> bool:
        """Whether the rule means this URL, spelt with or without percent-encoding."""
        return any(self._finds(text) for text in _spellings(parts, sees_query=self.sees_query or not self.is_glob))

    def _finds(self, text: str) -> bool:
        found = self.compiled.fullmatch(text) if self.is_glob else self.compiled.search(text)
        return found is not None


def read_patterns(sources: Sequence[str]) -> tuple[PathPattern, ...]:
    """Compile include or exclude rules.

    Raises:
        InvalidPattern: If there are over 50, or one cannot be read; it names the one.
    """
    if len(sources) > MAXIMUM_PATTERNS:
        raise InvalidPattern(patterns=len(sources), problem=f"more than {MAXIMUM_PATTERNS}")
    return tuple(PathPattern.read(source) for source in sources)


@dataclass(frozen=True, slots=True)
class CrawlRules:
    """What one crawl may take. `site` is the folded host and port of the start URL."""

    site: str
    include: tuple[PathPattern, ...] = ()
    exclude: tuple[PathPattern, ...] = ()
    depth_limit: int = 10

    @classmethod
    def read(
        cls, start_url: str, *, include: Sequence[str] = (), exclude: Sequence[str] = (), depth_limit: int = 10
    ) -> Self:
        """Rules of a datasource.

        Raises:
            InvalidUrl: If the start URL cannot be crawled.
            InvalidPattern: If a rule cannot be read.
        """
        return cls(site_key(start_url), read_patterns(include), read_patterns(exclude), depth_limit)

    def decide(self, url: str, depth: int) -> Reason | None:
        """Why a crawl leaves `url` out, found `depth` links from the start; None when it takes it.

        Raises:
            InvalidUrl: If `url` is none.
        """
        parts = split(url)
        if parts.site != self.site:
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
