"""What a robots.txt answer permits, by RFC 9309."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from protego import Protego

BODY_LIMIT = 512 * 2**10
"""Bytes of robots.txt that are read; the rest is as if it were not there."""

MAXIMUM_DELAY = timedelta(seconds=30)

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_AGENT_FIELDS = frozenset({"user-agent", "useragent", "user agent"})
_LONGEST_LINE = 8 * 2**10
_NAMED = re.compile(r"\s*(?P<name>[a-z][\w.*-]*|\*)\s*:", re.IGNORECASE)
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """What one origin asks of us. `agent` is our product token, as robots.txt files name it."""

    parsed: Protego | None
    agent: str

    def allows(self, url: str) -> bool:
        """Whether we may fetch a URL of this origin."""
        return self.parsed is None or self.parsed.can_fetch(url, self.agent)

    @property
    def delay(self) -> timedelta:
        """Time asked for between two requests, at most 30 s."""
        asked = self.parsed.crawl_delay(self.agent) if self.parsed is not None else None
        return timedelta(seconds=min(max(0.0, asked), MAXIMUM_DELAY.total_seconds())) if asked else timedelta(0)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        """Sitemaps it names, as written."""
        return tuple(self.parsed.sitemaps) if self.parsed is not None else ()


def is_temporary(status: int) -> bool:
    """Whether an answer means that nobody may crawl until there is a better one."""
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def read_robots(status: int, body: bytes, agent: str) -> RobotsRules:
    """The rules in a final answer that is not temporary: 2xx is read, all else allows everything."""
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return RobotsRules(None, agent)
    return RobotsRules(Protego.parse(_ours(_text(body), agent)), agent)


def product_token(user_agent: str) -> str:
    """The name robots.txt files know us by: `SitewiseBot` of `SitewiseBot/1.0 (…)`."""
    return user_agent.partition("/")[0].split()[0] if user_agent.strip() else "*"


def header_directives(values: list[str], agent: str) -> frozenset[str]:
    """The words of `X-Robots-Tag` headers that are for us, lower case; `none` counts as both.

    A crawler's name and a colon speak to that crawler alone, up to the next name or the header's end. Words that
    are for everybody and words that are for us add up: the stricter one counts.
    """
    words: set[str] = set()
    for value in values:
        is_ours = True
        for part in value.split(","):
            named = _NAMED.match(part)
            if named is not None and named["name"].lower() not in _WITH_VALUE:
                is_ours = named["name"].lower() in {agent.lower(), "*"}
                part = part[named.end() :]  # noqa: PLW2901 - the rest of it
            if is_ours and part.strip():
                words.add(" ".join(part.lower().split()))
    return frozenset(words | {"noindex", "nofollow"} if "none" in words else words)


def _ours(text: str, agent: str) -> str:
    """The same file, where of all agents only the one is named whose rules are for us.

    Protego keeps every rule once for each agent of its group: a small file could name thousands in thousands of rules.
    A line that names nobody still begins a group.
    """
    lines = text.splitlines()
    names = [_name_in(line) for line in lines]
    known = _names_of(agent)
    ours = max((name for name in names if name in known), key=len, default=None)
    kept = (
        line if name is None else f"User-agent: {name if name == ours else ''}"
        for line, name in zip(lines, names, strict=True)
    )
    return "\n".join(kept)


def _names_of(agent: str) -> frozenset[str]:
    """Every name Protego takes for ours: `*`, and each part of our token that begins where a word does."""
    token = agent.strip().lower()
    starts = [at for at in range(len(token)) if at == 0 or not (token[at - 1].isalnum() or token[at - 1] in "-_")]
    return frozenset({"*", *(token[at:end] for at in starts for end in range(at + 1, len(token) + 1))})


def _name_in(line: str) -> str | None:
    """The agent a line names, as Protego reads it: without wildcards, perhaps empty. None for any other line."""
    text = line.partition("#")[0].strip()
    field, colon, value = text.partition(":")
    if not (colon and field.strip().lower() in _AGENT_FIELDS):
        if colon and (not value or value[0].isspace()):
            return None
        words = text.split(maxsplit=2)
        count = next((count for count in (1, 2) if " ".join(words[:count]).lower() in _AGENT_FIELDS), None)
        if count is None:
            return None
        value = " ".join(text.split()[count:])
    name = value.strip().lower()
    return name if name == "*" else name.replace("*", "")


def _text(body: bytes) -> str:
    body = body[:BODY_LIMIT]
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            text = body[len(mark) :].decode(encoding, errors="replace")
            break
    else:
        text = body.decode("utf-8", errors="replace")
    lines = text.replace("\x00", "").splitlines()
    return "\n".join(line for line in lines if len(line) <= _LONGEST_LINE)
