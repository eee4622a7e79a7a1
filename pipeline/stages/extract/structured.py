"""Reads the facts a page states for machines: products, questions and answers, instructions."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml.etree import _Element as Element

from pipeline.stages.extract.invisible import strip_invisible

_MAX_BLOCK = 500_000
_MAX_NODES = 2_000
_MAX_TEXT = 2_000
_MAX_FACTS = 100
_STEP_LEVELS = 3  # a section holds steps, a step holds directions
_LEAST_DESCRIPTION = 40
_OWN_PRODUCTS = 3  # more is a list of other pages' products
_TAG = re.compile(r"<[^<>]{0,500}>")
_HALF = re.compile("[\ud800-\udfff]")  # of a character beyond U+FFFF: JSON can spell it, UTF-8 cannot
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_PROSE = frozenset(("Article", "NewsArticle", "BlogPosting", "TechArticle", "Report", "ScholarlyArticle"))
_ARTICLE = frozenset(
    ("Article", "NewsArticle", "BlogPosting", "TechArticle", "WebPage", "Report", "FAQPage", "Product", "HowTo")
)


@dataclass(slots=True)
class Structured:
    """What the JSON-LD of a page says, as far as it is used."""

    is_article: bool = False
    dates: dict[str, str] = field(default_factory=dict)
    breadcrumbs: tuple[str, ...] = ()
    products: list[dict[str, str]] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)
    steps: list[tuple[str, list[str]]] = field(default_factory=list)

    def facts(self) -> Iterator[str]:
        """Everything stated about this page's own subject, shown or not; many products are a list of other pages'."""
        if len(self.products) <= _OWN_PRODUCTS:
            for product in self.products:
                yield from (f"{name}: {value}" for name, value in product.items())
        yield from (f"{question} {answer}" for question, answer in self.questions)
        yield from (f"{name} {' '.join(steps)}" for name, steps in self.steps)


def read_structured(root: Element) -> Structured:
    """Everything used of the page's JSON-LD; what cannot be read is passed over."""
    found = Structured()
    for script in root.iter("script"):
        if script.get("type", "").split(";")[0].strip().lower() != "application/ld+json":
            continue
        text = script.text or ""
        if len(text) > _MAX_BLOCK:
            continue
        try:
            block = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        for count, node in enumerate(_nodes(block)):
            if count > _MAX_NODES:
                break
            _read(node, found)
    return found


def _nodes(block: object) -> Iterator[Mapping[str, object]]:
    """Every object in the block that has a type, outermost first."""
    waiting = [block]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, dict):
            if "@type" in one:
                yield one
            waiting.extend(
                value
                for key, value in one.items()
                if key in {"@graph", "mainEntity", "mainEntityOfPage", "itemListElement", "breadcrumb"}
                and not _is_list_entry(one)
            )


def _is_list_entry(node: Mapping[str, object]) -> bool:
    return not _types(node).isdisjoint(("BreadcrumbList", "HowTo", "Question"))


def _types(node: Mapping[str, object]) -> set[str]:
    kind = node.get("@type")
    kinds = kind if isinstance(kind, list) else [kind]
    return {one.rpartition("/")[2] for one in kinds if isinstance(one, str)}


def _read(node: Mapping[str, object], found: Structured) -> None:
    types = _types(node)
    if not types.isdisjoint(_ARTICLE):
        _read_dates(node, found)
    if not types.isdisjoint(_PROSE):
        found.is_article = True
    if "BreadcrumbList" in types and not found.breadcrumbs:
        found.breadcrumbs = tuple(_breadcrumbs(node))
    if not types.isdisjoint(("Product", "ProductGroup", "SoftwareApplication")):
        found.products.append(_product(node))
    if "Question" in types and len(found.questions) < _MAX_FACTS:
        answer = node.get("acceptedAnswer")
        answer = answer[0] if isinstance(answer, list) and answer else answer
        question = _text(node.get("name")) or _text(node.get("text"))
        told = _text(answer.get("text")) if isinstance(answer, dict) else ""
        if question and told:
            found.questions.append((question, told))
    if "HowTo" in types:
        steps = [step for one in _listed(node.get("step")) for step in _steps(one, _STEP_LEVELS) if step]
        if steps:
            found.steps.append((_text(node.get("name")), steps[:_MAX_FACTS]))


def _read_dates(node: Mapping[str, object], found: Structured) -> None:
    for name in ("datePublished", "dateModified"):
        value = node.get(name)
        if isinstance(value, str):
            found.dates.setdefault(name, value)


def _breadcrumbs(node: Mapping[str, object]) -> Iterator[str]:
    for entry in _listed(node.get("itemListElement"))[:10]:
        if isinstance(entry, dict):
            item = entry.get("item")
            name = _text(entry.get("name")) or (_text(item.get("name")) if isinstance(item, dict) else "")
            if name:
                yield name


def _product(node: Mapping[str, object]) -> dict[str, str]:
    facts = {"name": _text(node.get("name")), "description": _text(node.get("description"))}
    brand = node.get("brand")
    facts["Brand"] = _text(brand.get("name")) if isinstance(brand, dict) else _text(brand)
    facts["SKU"] = _text(node.get("sku"))
    facts["MPN"] = _text(node.get("mpn"))
    facts["GTIN"] = next(
        (_text(node[name]) for name in ("gtin13", "gtin", "gtin14", "gtin12", "gtin8") if node.get(name)), ""
    )
    for offer in _listed(node.get("offers"))[:1]:
        if isinstance(offer, dict):
            facts["Price"] = _price(offer)
            facts["Availability"] = _text(offer.get("availability")).rpartition("/")[2]
    return {name: value for name, value in facts.items() if value}


def _price(offer: Mapping[str, object]) -> str:
    specification = next((one for one in _listed(offer.get("priceSpecification")) if isinstance(one, dict)), {})
    low = _text(offer.get("price")) or _text(offer.get("lowPrice")) or _text(specification.get("price"))
    currency = _text(offer.get("priceCurrency")) or _text(specification.get("priceCurrency"))
    return f"{low} {currency}".strip() if low else ""


def _steps(node: object, levels: int) -> Iterator[str]:
    """The texts of a step, or of the steps and directions inside it."""
    if not isinstance(node, dict):
        yield _text(node)
        return
    inner = _listed(node.get("itemListElement"))
    if inner and levels and not node.get("text"):
        for one in inner:
            yield from _steps(one, levels - 1)
    else:
        yield _text(node.get("text")) or _text(node.get("name"))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    plain = html.unescape(_TAG.sub(" ", str(value)))
    plain = _CONTROL.sub("", _HALF.sub("\N{REPLACEMENT CHARACTER}", plain))
    return strip_invisible(" ".join(plain.split()))[0][:_MAX_TEXT]


def facts_markdown(structured: Structured, visible: str, *, kept: str | None = None) -> str:
    """Markdown for the facts that the visible text lacks: prices, article numbers, answers, steps.

    A price is told anew also where it is visible but not `kept`: whoever asks what it costs needs it.
    """
    if not (structured.products or structured.questions or structured.steps):
        return ""
    seen = " ".join(visible.lower().split())
    main = seen if kept is None else " ".join(kept.lower().split())
    blocks: list[str] = []
    if len(structured.products) <= _OWN_PRODUCTS:
        for product in structured.products:
            facts = [
                f"- {name}: {value}"
                for name, value in product.items()
                if name not in {"name", "description"} and not _is_told(name, value, main if name == "Price" else seen)
            ]
            if facts:
                blocks.append("\n".join(facts))
            description = product.get("description", "")
            if len(description) > _LEAST_DESCRIPTION and not _is_shown(description, seen):
                blocks.append(description)
    for question, answer in structured.questions:
        if not _is_shown(answer, seen):
            blocks.append(f"### {question}\n\n{answer}")
    for name, steps in structured.steps:
        missing = [step for step in steps if not _is_shown(step, seen)]
        if len(missing) * 2 > len(steps):
            listed = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
            blocks.append(f"### {name}\n\n{listed}" if name else listed)
    return "\n\n".join(dict.fromkeys(blocks))


def _is_told(name: str, value: str, seen: str) -> bool:
    if name == "Price":
        return re.search(_amount_pattern(value.partition(" ")[0].lower()), seen) is not None
    return value.lower() in seen


def _amount_pattern(amount: str) -> str:
    """Finds an amount as a number of its own, with a point or a comma, and with or without zeros at its end."""
    whole, point, cents = amount.partition(".")
    cents = cents.rstrip("0")
    spelled = f"{re.escape(whole)}[.,]{re.escape(cents)}0*" if point and cents else rf"{re.escape(whole)}(?:[.,]0+)?"
    return rf"(?<!\d)(?<!\d[.,]){spelled}(?!\d|[.,]\d)"


def _is_shown(text: str, seen: str) -> bool:
    """Whether the page shows this text: its start, or its end."""
    folded = " ".join(text.lower().split())
    return folded[:60] in seen or folded[-60:] in seen
