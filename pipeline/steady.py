"""What of a text stays between two looks at a page that nobody edited: all but counters, clocks and tickets.

Only wordings that name what they count are masked, and those that a price list could hold as well only where they
are a line of their own: an edit that is missed is worse than an update that was not needed.
"""

from __future__ import annotations

import re

_MASK = "\u2026"
_NUMBER = r"(?:\d[\d.,'\u00a0\u202f ]*\d|\d)\s?[km]?\+?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]\.?m\.?)?(?:\s?(?:UTC|GMT|Z|[+-]\d{2}:?\d{2}))?"
_SHORT_AGO = r"(?:\d+|an?|one|a few)\s(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?)\sago"
_LONG_AGO = r"(?:\d+|an?|one)\s(?:months?|years?)\sago"
_TOUCHED = (
    r"(?:last (?:active|seen|checked|changed)"
    r"|(?:last\s)?(?:updated|modified|edited|reviewed|refreshed|synced|posted|published|commented))"
)
_TICKET = (
    r"(?:(?:request|session|trace|correlation|transaction|visitor|visit|ray|csrf|xsrf|security)[ -]?(?:id|token|key)"
    r"|nonce|csrf|xsrf|session(?=\s?[:=]\s?[\da-f]{8,}\b))"
)
_NOW = r"(?:server time|local time|current time|time now|generated|rendered|cached|refreshed|retrieved)"
_PRESENT = r"(?:online|viewing|watching|looking at|reading|browsing)\b.*"

_INSIDE = (
    r"(?:\u00a9|\(c\)|copyright)\s*(?:\u00a9\s*)?(?P<year>\d{4}(?:\s?[-\u2013]\s?\d{4})?)",
    rf"(?P<ago>\b{_SHORT_AGO}\b)",
    rf"\b{_TOUCHED}\s(?:about\s|over\s)?(?P<long_ago>{_LONG_AGO}\b)",
    r"(?P<vor>\bvor\s\d+\s(?:sekunden?|minuten?|stunden?|tagen?)\b)",
    r"(?P<il_y_a>\bil y a\s\d+\s(?:secondes?|minutes?|heures?|jours?)\b)",
    r"(?P<hace>\bhace\s\d+\s(?:segundos?|minutos?|horas?|d\u00edas?)\b)",
    rf"\b{_TICKET}\s?[:#=]\s?(?P<ticket>(?=[\w./+-]*\d)[\w./+-]{{6,}}=*)",
    rf"\d(?: out of |\s?/\s?)\d\s(?:stars?\s)?[(]?(?P<raters>{_NUMBER})(?=\s(?:customer )?(?:reviews?|ratings?))",
    r"\byour ip(?: address)?(?: is)?\s?:?\s?(?P<ip>[\da-f.:]{7,})",
)
"""Masked wherever they stand; only the named part goes."""

_ALONE = (
    rf"{_NUMBER}\s(?:page views?|views?|reads?|likes?|shares?|comments?|reactions?|(?:up)?votes?|claps?|retweets?)\.?",
    rf"{_NUMBER}\s(?:customer )?(?:reviews|ratings)\.?",
    rf"{_NUMBER}(?: (?:out )?of {_NUMBER})?(?: \w+)? f(?:ou|i)nd(?: this)?(?: \w+)? (?:helpful|useful)\.?",
    rf"{_NUMBER}\s(?:aufrufe|kommentare|besucher online|vues|commentaires|visitas|visualizzazioni)\.?",
    rf"{_NUMBER}\s(?:people|users?|visitors?|guests?|members?|readers?|customers?)(?: are)?(?: \w+ly| now)? {_PRESENT}",
    rf"(?:viewed|read|seen|visited|shared|downloaded)(?::|\s)\s?{_NUMBER}\s?(?:times|x)?\.?",
    rf"(?:page )?(?:views|hits|visits|visitors|reads|likes|shares|comments|aufrufe)\s?[:(]\s?{_NUMBER}\)?",
    r"(?:this )?page (?:was )?(?:generated|rendered|created|loaded|built|served|cached)\b.*\d.*",
    rf"{_NOW}(?: (?:at|on|in|by))?\s?:?\s.*(?:{_CLOCK}|\d\s?m?s(?:ec(?:onds?)?)?\b).*",
    rf"{_TOUCHED}(?: (?:at|on))?\s?:?\s.{{0,40}}{_CLOCK}.{{0,12}}",
    r"(?:today is|it is now|heute ist)\s.*\d.*",
)
"""Masked where they are all that a line, or a part of it between dots or dashes, says."""

_ANYWHERE = re.compile("|".join(_INSIDE), re.IGNORECASE)
_WHOLE = re.compile("|".join(_ALONE), re.IGNORECASE)
_MAY_CHANGE = re.compile(r"\d|ago\b|your ip", re.IGNORECASE)
"""No wording above does without one of these, and most lines do."""

_MAY_MASK = re.compile(r"[:#=\u00a9]|\(c\)|copyright|ago\b|vor\s|il y a|hace\s|your ip|review|rating", re.IGNORECASE)
"""Likewise for what is masked wherever it stands."""

_APART = re.compile(r"(\s[\u00b7\u2022\u2013\u2014/]\s)")
_LISTED = re.compile(r"\||\s*(?:[-*+]|\d{1,9}[.)])\s|#|\s{4}")
"""Rows, items, headings and code: there, `10,000 views` may be what a plan includes."""

_MARKS = re.compile(r"(?:>\s?)*(?:\*\*)?")


def steady(text: str) -> str:
    """The text with what changes by itself masked, line by line: `1,204 views` and `Session: 9f8e7d` say nothing."""
    if not _MAY_CHANGE.search(text):
        return text
    return "\n".join(_steady_line(line) for line in text.split("\n"))


def _steady_line(line: str) -> str:
    if not _MAY_CHANGE.search(line):
        return line
    if _LISTED.match(line):
        return _masked(line)
    parts = _APART.split(line)
    return "".join(part if number % 2 else _steady_part(part) for number, part in enumerate(parts))


def _steady_part(part: str) -> str:
    words = _MARKS.sub("", part.strip(), count=1).rstrip("*")
    return _MASK if _WHOLE.fullmatch(words) else _masked(part)


def _masked(text: str) -> str:
    return _ANYWHERE.sub(_mask, text) if _MAY_MASK.search(text) else text


def _mask(found: re.Match[str]) -> str:
    """The match without the part that changes."""
    start, end = next(found.span(name) for name in found.re.groupindex if found[name] is not None)
    return found.string[found.start() : start] + _MASK + found.string[end : found.end()]
