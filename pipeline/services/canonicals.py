"""Pages that named another one as theirs, and that one is none: they are looked at again, and kept for themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.db import frontier, pages
from pipeline.db.base import ROWS_AT_A_TIME
from pipeline.db.crawls import Crawl
from pipeline.db.engine import Session
from pipeline.db.frontier import FrontierEntry
from pipeline.model import Reason
from pipeline.urls import url_key

_DECIDED = frozenset((Reason.NOINDEX, Reason.EXCLUDED_RULE, Reason.EXCLUDED_MANUALLY, Reason.PAGE_LIMIT, Reason.HELD))
"""Why a page is left out whatever its address: what names it as its own is left out with it."""

_MAX_STEPS = 20
"""Of a way. Of a longer one its last steps are on ways of their own."""


def look_again(session: Session, crawl: Crawl, *, attempts: int) -> int:
    """Put back pages whose canonical leads back to them or to no page. Returns how many.

    They are looked at as found on that canonical, which is then not believed, so each is put back once for
    every canonical it names, and never after so many `attempts`.
    """
    folded = {entry.url_key: entry for entry in frontier.folded(session, crawl.id)}
    following = {key: url_key(entry.target) for key, entry in folded.items() if entry.target}
    ends = sorted(set(following.values()) - following.keys())
    lost = {key for some in _parts(ends) for key in _lost_of(session, crawl, some)}
    again = {key for start in following if (key := _stray(start, folded, following, lost)) is not None}
    strays = [folded[key] for key in sorted(again) if folded[key].attempts < attempts]
    strays = [entry for entry in strays if entry.found_on != entry.target]
    for entry in strays:
        entry.found_on = entry.target
    session.flush()
    return sum(frontier.reopen(session, crawl.id, some) for some in _parts([one.url_key for one in strays]))


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[first : first + ROWS_AT_A_TIME] for first in range(0, len(keys), ROWS_AT_A_TIME))


def _lost_of(session: Session, crawl: Crawl, keys: Sequence[str]) -> set[str]:
    """Of these URLs, those that are no page of this crawl, nor will be, and do not serve."""
    entries = frontier.by_key(session, crawl.id, keys)
    known = pages.by_key(session, crawl.datasource_id, keys)
    serving = {key for key, page in known.items() if page.live_version is not None}
    return {key for key in keys if key not in serving and (key not in entries or _is_lost(entries[key]))}


def _is_lost(entry: FrontierEntry) -> bool:
    is_settled = entry.state in {frontier.DONE, frontier.REFUSED, frontier.RESTING}
    return is_settled and entry.outcome not in frontier.KEPT and entry.reason not in _DECIDED


def _stray(start: str, folded: Mapping[str, FrontierEntry], following: Mapping[str, str], lost: set[str]) -> str | None:
    """Of the way that leads on from a URL, the last one that names a canonical, if it ends nowhere or in a circle."""
    way: dict[str, None] = {}
    key = start
    while key in following and key not in way and len(way) < _MAX_STEPS:
        way[key] = None
        key = following[key]
    if key not in way and key not in lost:
        return None
    passed = list(way)
    circle = passed[passed.index(key) :] if key in way else []
    naming = [one for one in circle or passed if _names(folded[one])]
    return (min(naming) if circle else naming[-1]) if naming else None


def _names(entry: FrontierEntry) -> bool:
    return entry.reason == Reason.CANONICAL_TO and entry.state == frontier.DONE
