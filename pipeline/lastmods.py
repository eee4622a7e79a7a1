"""What a sitemap's `lastmod` claims about a page, and when a website's claims are believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

KEPT_ALONE = 100
KEPT_BESIDE_A_CHANGE = 20
"""Claims of "not changed" that looks bore out before they are believed: fewer once a real change was told as well.
None of n claims was broken, so with 95 % confidence at most 3 / n of such claims are."""

MOST_ON_TRUST = 3
"""How many times in a row a page is not looked at on its sitemap's word: the fourth time, somebody looks."""

_FARTHEST_ZONE = timedelta(hours=14)
_FORM = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(?:\.\d+)?\s?(Z|[+-]\d{2}:?\d{2})?)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Word:
    """How the claims of one website's sitemaps fared so far.

    kept: "not changed", and a look agreed. told: "changed", and a look agreed. broken: "not changed", and it had.
    """

    kept: int = 0
    told: int = 0
    broken: int = 0

    @property
    def is_trusted(self) -> bool:
        """Whether a claim may stand for a look. Once broken, it may never again."""
        return not self.broken and self.kept >= (KEPT_BESIDE_A_CHANGE if self.told else KEPT_ALONE)


def claims_no_change(lastmod: str | None, *, since: datetime, now: datetime) -> bool | None:
    """Whether a `lastmod` says that a page has not changed since; None where it says nothing.

    A date is all of its day in any time zone, a minute all of its seconds: what changed later the
    same day moves no date, so that a date on which somebody looked says nothing. Nor does one in the future.
    """
    moments = _moments(lastmod or "")
    if moments is None or moments[0] > now:
        return None
    if moments[1] <= since:
        return True
    return False if moments[0] > since else None


def _moments(lastmod: str) -> tuple[datetime, datetime] | None:
    """The first and the last moment that a W3C date may mean."""
    found = _FORM.fullmatch(lastmod.strip())
    if found is None:
        return None
    day, clock, seconds, zone = found.groups()
    try:
        start = datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ''}{_offset(zone)}")
    except ValueError:
        return None
    length = timedelta(days=1) if clock is None else timedelta(seconds=1 if seconds else 60)
    doubt = timedelta(0) if zone else _FARTHEST_ZONE
    return start.astimezone(UTC) - doubt, start.astimezone(UTC) + length + doubt


def _offset(zone: str | None) -> str:
    return "+00:00" if zone in {None, "Z", "z"} else str(zone)
