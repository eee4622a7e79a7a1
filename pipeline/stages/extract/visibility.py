"""Tells text that a visitor sees from text that only machines see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from lxml.etree import _Attrib as Attributes
from lxml.etree import _Element as Element

_WIDGET = re.compile(r"accordion|collaps|toggle|tab-?pane|tab-?panel|tabcontent|faq|expand|disclosure|panel|answer")
_HEAD = re.compile(r"question|title|header|heading|trigger|toggle|button|summary|head\b|label", re.IGNORECASE)
_STREAMED = re.compile(r"S:[0-9a-f]+\Z")
_LONG_TEXT = 1_000
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary"))
_LABELLED = frozenset(("a", "button", "label", "summary", "th", "h1", "h2", "h3", "h4", "h5", "h6"))
_REVEALED_LATER = re.compile(r"translate|scale|rotate|matrix|blur")
_NUMBER = re.compile(r"-?\d*\.?\d+")
_OFF_SCREEN = -400.0
_TINY = 1.0
_NAMED_COLOURS = {"white": "#ffffff", "black": "#000000", "transparent": "transparent", "red": "#ff0000"}


class Visibility:
    """What one page's own style sheets and controls say about which of its elements are seen."""

    def __init__(self, root: Element) -> None:
        """Read the page's `<style>` elements and the ids its controls open."""
        self._styles = _read_styles(root)
        self._steps = _MAX_STEPS
        self._opened = _opened_ids(root)
        self._root = root
        self._length: int | None = None

    def hidden_reason(self, element: Element) -> str | None:
        """Why nobody sees this element (`display:none`, `off-screen`, …), or None when it can be seen.

        A panel that a control on the page opens can be seen. Only the element itself is judged,
        not what stands around it.
        """
        attributes = element.attrib
        if not attributes:
            return None
        reason = self._reason(element, attributes)
        if reason is None or self._is_panel(element, attributes) or self._comes_later(element, attributes, reason):
            return None
        if reason == "clipped" and _labels_a_control(element):
            return None
        return reason

    def _reason(self, element: Element, attributes: Attributes) -> str | None:
        if "hidden" in attributes and attributes["hidden"] != "until-found":
            return "hidden attribute"
        style = attributes.get("style", "")
        reason = (style and style_reason(style)) or self._rule_reason(element, attributes)
        if reason == "display:none" and style and _shows(style):
            reason = None
        return reason or ("aria-hidden" if attributes.get("aria-hidden") == "true" else None)

    def _rule_reason(self, element: Element, attributes: Attributes) -> str | None:
        """Why the page's own rules hide this element, unless another rule shows it."""
        styles = self._styles
        names = attributes.get("class", "").split() if styles.classes else []
        for name in names:
            reason = styles.classes.get(name)
            if reason and styles.shown.isdisjoint(names) and not (reason == "display:none" and self._is_shown(element)):
                return reason
        return styles.ids.get(attributes.get("id", "")) if styles.ids and "id" in attributes else None

    def _is_shown(self, element: Element) -> bool:
        """Whether a rule of several classes, or for a place within others, shows this element as the page stands."""
        names = element.get("class", "").split()
        return any(self._matches(element, rule) for name in names for rule in self._styles.showing.get(name, ()))

    def _matches(self, element: Element, rule: Sequence[frozenset[str]]) -> bool:
        """Whether the element has what the rule's last part names, and what is around it what the others do."""
        *around, last = rule
        if not last <= _marks(element):
            return False
        for outer in element.iterancestors():
            if not around or not self._steps:
                break
            self._steps -= 1
            if around[-1] <= _marks(outer):
                around.pop()
        return not around

    def opens(self, button: Element) -> bool:
        """Whether a button opens a part of the page: an accordion's head, a tab."""
        return (
            _opens(button)
            or button.get("aria-controls") is not None
            or bool(_WIDGET.search(button.get("class", "").lower()))
        )

    def _is_panel(self, element: Element, attributes: Attributes) -> bool:
        """Whether a control on the page opens this element: an accordion, a tab, a disclosure."""
        if attributes.get("role") == "tabpanel" or attributes.get("id") in self._opened:
            return True
        before = _just_before(element)
        if before is None:
            return False
        if _opens(before) or any(_opens(inner) for inner in before.iterchildren("button", "a", "div", "span")):
            return True
        names = f"{attributes.get('class', '')} {attributes.get('data-testid', '')} {before.get('class', '')}".lower()
        return bool(_WIDGET.search(names)) and (_could_open(before) or bool(_HEAD.search(before.get("class", ""))))

    def _comes_later(self, element: Element, attributes: Attributes, reason: str) -> bool:
        """Whether scripts are sure to show this: a streamed part, or what holds most of the page's text."""
        if reason == "hidden attribute" and _STREAMED.match(attributes.get("id", "")):
            return any(place.get("id", "").startswith(("B:", "P:")) for place in self._root.iter("template")) or any(
                "$R" in (script.text or "") for script in self._root.iter("script")
            )
        if reason not in {"opacity:0", "visibility:hidden"}:
            return False
        length = _text_length(element)
        if length <= _LONG_TEXT:
            return False
        if self._length is None:
            self._length = _text_length(self._root)
        return length * 2 > self._length


def _marks(element: Element) -> set[str]:
    """What a rule can name of an element: tag, `.class`, `#id`. The root has `.js`, which scripts set."""
    marks = {str(element.tag), *(f".{name}" for name in element.get("class", "").split())}
    if "id" in element.attrib:
        marks.add(f"#{element.get('id')}")
    if element.tag == "html":
        marks.add(".js")
    return marks


def _just_before(element: Element) -> Element | None:
    """The element that stands before this one, or before the box around it."""
    for _ in range(2):
        before = element.getprevious()
        while before is not None and not isinstance(before.tag, str):
            before = before.getprevious()
        if before is not None:
            return before
        parent = element.getparent()
        if parent is None:
            break
        element = parent
    return None


def _text_length(element: Element) -> int:
    """Characters of text in an element, scripts and styles left out."""
    skipped = {"script", "style", "template", "noscript"}
    total = 0
    for inner in element.iter():
        if inner.tag not in skipped and inner.text:
            total += len(inner.text.strip())
        total += len(inner.tail.strip()) if inner.tail and inner is not element else 0
    return total


def _opens(element: Element) -> bool:
    """Whether this element says that it opens something."""
    return element.get("aria-expanded") is not None or element.get("role") == "tab"


def _could_open(element: Element) -> bool:
    return element.tag in _HEADINGS or element.tag == "button" or element.get("role") == "button"


def _labels_a_control(element: Element) -> bool:
    parent = element.getparent()
    return element.tag == "label" or (parent is not None and parent.tag in _LABELLED)


def _opened_ids(root: Element) -> frozenset[str]:
    """Ids that a button, tab or link on the page says it opens."""
    ids: set[str] = set()
    for element in root.iter("button", "a", "div", "span", "li", "summary", "h2", "h3", "h4", "h5", "label", "input"):
        attributes = element.attrib
        if not attributes:
            continue
        for name in ("aria-controls", "data-target", "data-bs-target"):
            if name in attributes:
                ids.update(part.lstrip("#") for part in str(attributes[name]).split())
        if attributes.get("role") == "tab" or "data-toggle" in attributes or "data-bs-toggle" in attributes:
            href = attributes.get("href", "")
            if href.startswith("#"):
                ids.add(href[1:])
    return frozenset(ids)


@lru_cache(maxsize=4_096)
def style_reason(style: str) -> str | None:
    """Why text with this inline style or rule body is not seen, or None."""
    rules = _declarations(style)
    if rules.get("display") == "none":
        return "display:none"
    if rules.get("visibility") in {"hidden", "collapse"} or rules.get("content-visibility") == "hidden":
        return "visibility:hidden"
    if _is_zero(rules.get("opacity"), 0.04) and not _REVEALED_LATER.search(rules.get("transform", "")):
        return "opacity:0"
    if _is_zero(rules.get("font-size"), _TINY):
        return "font-size:0"
    return _place_reason(rules) or _colour_reason(rules)


def _declarations(style: str) -> dict[str, str]:
    rules: dict[str, str] = {}
    for declaration in style.lower().split(";"):
        name, _, value = declaration.partition(":")
        if value:
            rules[name.strip()] = value.replace("!important", "").strip()
    return rules


@lru_cache(maxsize=4_096)
def _shows(style: str) -> bool:
    """Whether an inline style or rule body gives an element a box, and hides nothing otherwise."""
    return _declarations(style).get("display", "none") != "none" and style_reason(style) is None


def _is_zero(value: str | None, limit: float) -> bool:
    if not value or value.endswith(("em", "%", "vw", "vh")):
        return bool(value) and _length(value) == 0.0
    return _length(value) <= limit


def _length(value: str | None) -> float:
    """The first number of a value, 1,000 when it has none."""
    match = _NUMBER.match(value) if value else None
    return float(match.group()) if match else 1_000.0


def _place_reason(rules: dict[str, str]) -> str | None:
    placed = rules.get("position") in {"absolute", "fixed"}
    if placed and any(_length(rules.get(side)) <= _OFF_SCREEN for side in ("left", "top", "right", "bottom")):
        return "off-screen"
    if _length(rules.get("text-indent")) <= _OFF_SCREEN or any(
        _length(rules.get(side)) <= _OFF_SCREEN for side in ("margin-left", "margin-top")
    ):
        return "off-screen"
    moves = rules.get("transform", "")
    if moves.replace(" ", "") == "scale(0)" or "-9999" in moves:
        return "off-screen"
    if placed and (rules.get("clip", "").startswith("rect(") or rules.get("clip-path", "").startswith("inset(")):
        return "clipped"
    tiny = any(
        _length(rules.get(side)) <= _TINY and rules[side]
        for side in ("width", "height", "max-height", "max-width")
        if side in rules
    )
    if tiny and rules.get("overflow") in {"hidden", "clip"}:
        return "clipped" if placed else "zero size"
    return None


def _colour_reason(rules: dict[str, str]) -> str | None:
    colour = _colour(rules.get("color", ""))
    if not colour:
        return None
    if colour == "transparent":
        return "transparent text"
    background = rules.get("background-color") or rules.get("background", "").split(" ")[0]
    return "colour of the background" if colour == _colour(background) else None


def _colour(value: str) -> str:
    """One spelling for a colour; an empty text when it cannot be told."""
    if "var(" in value or "calc(" in value:
        return ""
    value = _NAMED_COLOURS.get(value, value.replace(" ", ""))
    if value.startswith("#"):
        digits = value[1:]
        if len(digits) in {3, 4}:
            digits = "".join(2 * digit for digit in digits)
        return "transparent" if digits[6:8] == "00" else f"#{digits[:6]}"
    if value.startswith(("rgb(", "rgba(")):
        numbers = _NUMBER.findall(value)
        if len(numbers) == 4 and float(numbers[3]) == 0.0:  # noqa: PLR2004 - red, green, blue, alpha
            return "transparent"
        return "#" + "".join(f"{min(255, int(float(number))):02x}" for number in numbers[:3])
    return value if value == "transparent" else ""


_SIMPLE = re.compile(r"(?:[a-z]+[1-6]?)?([.#])([\w-]+)\Z", re.IGNORECASE)
_SUSPECT = re.compile(r"none|hidden|opacity|font-size|-\d{3}|clip|rect|overflow|color|scale|collapse", re.IGNORECASE)
_COMPOUND = re.compile(r"(?:[a-z]+[1-6]?|\*)?(?:[.#][\w-]+)*\Z", re.IGNORECASE)
_MARK = re.compile(r"[.#]?[\w-]+")
_MAX_STYLES = 1_000_000
_MAX_SHOWING = 8  # rules that show one class
_MAX_STEPS = 500_000
"""Elements looked at around others on one page; real pages need some hundreds."""


@dataclass(slots=True)
class _Styles:
    """What simple rules hide, by class and id, and what shows it all the same.

    `showing` has, by a class of its last part, the parts of a rule: what an element and those around it must have.
    """

    classes: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    showing: dict[str, list[list[frozenset[str]]]] = field(default_factory=dict)

    def show(self, selector: str) -> None:
        """Note what a rule that shows is for. Rules for states, siblings and attributes are left out."""
        self.shown.update(_names(selector, "."))
        for one in _without_comments(selector).split(","):
            parts = one.replace(">", " ").split()
            if not parts or not all(map(_COMPOUND.match, parts)):
                continue
            rule = [frozenset(_MARK.findall(part)) for part in parts]
            for mark in rule[-1]:
                rules = self.showing.setdefault(mark[1:], []) if mark.startswith(".") else []
                if len(rules) < _MAX_SHOWING:
                    rules.append(rule)


def _read_styles(root: Element) -> _Styles:
    """What the page's own rules hide and show."""
    styles = _Styles()
    for style in root.iter("style"):
        if style.get("media", "all") in {"all", "screen", ""} and style.text:
            _read_rules(style.text[:_MAX_STYLES], styles)
    return styles


def _read_rules(css: str, styles: _Styles) -> None:
    """Read the rules outside any `@media`; linear in the length of the sheet."""
    depth = 0
    for part in css.split("}"):
        opened = part.count("{")
        if not opened:
            depth = max(0, depth - 1)
            continue
        selector, _, body = part.rpartition("{")
        outermost = depth + opened == 1
        depth = max(0, depth + opened - 1)
        if not outermost:
            continue
        body = _without_comments(body)
        reason = style_reason(body) if _SUSPECT.search(body) else None
        if reason:
            for name in _names(selector, "."):
                styles.classes.setdefault(name, reason)
            for name in _names(selector, "#"):
                styles.ids.setdefault(name, reason)
        elif "display" in body and _shows(body):
            styles.show(selector)


def _names(selector: str, kind: str) -> list[str]:
    found = (_SIMPLE.match(one.strip()) for one in _without_comments(selector).split(","))
    return [match.group(2) for match in found if match and match.group(1) == kind]


def _without_comments(css: str) -> str:
    first, *rest = css.split("/*")
    return first + "".join(part.partition("*/")[2] for part in rest)
