"""Statements: sentences, the amounts they name, and whether two of them contradict each other.

Words and numbers only: no model judges here. So a conflict is a candidate for a person, with how sure it is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

LIKE, LIKE_IN_WORDS = 0.62, 0.54
"""Cosine from which two sentences are about the same thing, and where they share many words as well."""

MANY = 0.4
"""Share of the shorter sentence's words that are many."""

HALF = 0.5
"""Share of the shorter sentence's words that a denial of it repeats."""

SHORTEST, LONGEST = 12, 400
"""Characters of a sentence worth comparing."""

_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+|\n+|(?<=;)\s+")
_MARKUP = re.compile(r"^[\s>*#|\-\d.)]*(?=\w)|[*_`|]+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_AMOUNT = re.compile(
    r"(?P<before>[€$£])?\s?(?<![\w.,])(?P<number>\d{1,3}(?:[ ,.]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d+)?)"
    r"(?:\s?(?P<after>[%€$£])|[\s-]?(?P<unit>(?:working |business |calendar )?[^\W\d_]{2,}))?"
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ONE_TO_TWELVE = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {
    **{word: number for number, word in enumerate(_ONE_TO_TWELVE, start=1)},
    "fourteen": 14,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
    "hundred": 100,
}
_SPELLED = re.compile(rf"\b({'|'.join(_NUMBERS)})\b(?=\s+[^\W\d_]{{3,}})", re.IGNORECASE)
_UNITS = _set(
    "day hour minute second week month year night percent euro dollar pound eur usd gbp chf cent "
    "piece item unit station person user seat page photo file call request order "
    "gb mb tb kb km m cm mm kg g metre meter mile degree volt watt"
)
_MODIFIERS = ("working ", "business ", "calendar ")
_SIGNS = {"%": "percent", "€": "eur", "$": "usd", "£": "gbp", "euro": "eur", "dollar": "usd", "pound": "gbp"}
_DENIALS = _set(
    "not no never don't doesn't isn't aren't can't cannot won't without neither nor none mustn't shouldn't refuse "
    "forbidden nicht nie kein keine keinen niemals ohne"
)
_OPPOSITES = tuple(
    (_set(first), _set(second))
    for first, second in (
        ("always", "never"),
        ("free", "charge charged fee fees paid"),
        ("accept accepted accepts allow allowed allows", "refuse refused refuses reject rejected forbid forbidden"),
        ("include includes included", "exclude excludes excluded"),
        ("formal formally", "informal informally casual casually"),
        ("short brief briefly concise", "long detailed length thorough thoroughly"),
        ("refund refunded refunds", "voucher vouchers credit"),
        ("before", "after"),
        ("open opened", "closed shut"),
        ("required mandatory must", "optional optionally"),
        ("immer", "nie niemals"),
    )
)
_EMPTY = _set(
    "a an the to of in on at for with and or if it is are be do does you your we our they their this that any all "
    "will would can may as by from customer customers please say tell ask"
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why two sentences may contradict each other, and how sure that is, from 0 to 1."""

    reason: str
    confidence: float


def sentences(text: str) -> list[str]:
    """The sentences of a text or of Markdown, long enough to say something."""
    parts = (_MARKUP.sub("", part).strip() for part in _END.split(text))
    return [part[:LONGEST] for part in parts if len(part) >= SHORTEST]


def conflict(first: str, second: str, likeness: float) -> Conflict | None:
    """Whether two sentences of this cosine contradict each other.

    Amounts of one unit that differ are the surest sign, then denying what the other says, then words of opposite
    meaning. Sentences that name an amount of one unit alike agree, whatever else they say.
    """
    if not same_subject(first, second, likeness):
        return None
    here, there = amounts(first), amounts(second)
    shared = [unit for unit in here if unit in there]
    if any(here[unit] & there[unit] for unit in shared):
        return None
    sure = 0.5 + max(likeness - LIKE, 0) / (1 - LIKE) * 0.4
    if shared:
        unit = shared[0]
        given = (_listed(here[unit]), _listed(there[unit]))
        return Conflict(f"{given[0]} against {given[1]} {unit}", round(sure, 2))
    said = _said_otherwise(_words(first), _words(second))
    return Conflict(said, round(sure - 0.15, 2)) if said else None


def _said_otherwise(ours: set[str], theirs: set[str]) -> str | None:
    """How two sentences about the same thing turn on their words: opposites, or a denial."""
    if not (ours & theirs) - _EMPTY - _DENIALS:
        return None
    for left, right in _OPPOSITES:
        for one, other in ((ours, theirs), (theirs, ours)):
            if one & left and other & right and not (one & right or other & left):
                return f"\u201c{min(one & left)}\u201d against \u201c{min(other & right)}\u201d"
    denied = bool(ours & _DENIALS) != bool(theirs & _DENIALS)
    return "one denies what the other says" if denied and _overlap(ours, theirs) >= HALF else None


def same_subject(first: str, second: str, likeness: float) -> bool:
    """Whether two sentences of this cosine are about the same thing."""
    if likeness >= LIKE:
        return True
    return likeness >= LIKE_IN_WORDS and _overlap(_words(first), _words(second)) >= MANY


def agree(first: str, second: str) -> bool:
    """Whether two sentences name the same amount of the same unit."""
    here, there = amounts(first), amounts(second)
    return any(here[unit] & there.get(unit, set()) for unit in here)


def amounts(text: str) -> dict[str, set[float]]:
    """The amounts a sentence names, by unit; numbers without a unit it knows are left out."""
    text = _SPELLED.sub(lambda match: str(_NUMBERS[match.group().lower()]), text)
    found: dict[str, set[float]] = defaultdict(set)
    for match in _AMOUNT.finditer(text):
        unit = _unit(match)
        if unit:
            found[unit].add(_number(match["number"]))
    return dict(found)


def _unit(match: re.Match[str]) -> str | None:
    sign = match["before"] or match["after"]
    if sign:
        return _SIGNS[sign]
    word = (match["unit"] or "").lower()
    modifier = next((given for given in _MODIFIERS if word.startswith(given)), "")
    bare = word.removeprefix(modifier)
    for form in (bare, bare.removesuffix("s"), bare.removesuffix("es")):
        if form in _UNITS:
            return ("working " if modifier in _MODIFIERS[:2] and modifier else "") + _SIGNS.get(form, form)
    return None


def _number(text: str) -> float:
    """A number in either notation: the last sign before one or two digits is the decimal one."""
    whole, sign, rest = re.fullmatch(r"(.*?)(?:([.,])(\d{1,2}))?", text).groups()  # type: ignore[union-attr] # it matches anything
    digits = re.sub(r"[ .,]", "", whole)
    return float(f"{digits}.{rest}" if sign else digits)


def _words(text: str) -> set[str]:
    return {word.replace("\u2019", "'") for word in _WORD.findall(text.lower())}


def _overlap(ours: set[str], theirs: set[str]) -> float:
    mine, other = ours - _EMPTY - _DENIALS, theirs - _EMPTY - _DENIALS
    return len(mine & other) / max(min(len(mine), len(other)), 1)


def _listed(values: set[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))
