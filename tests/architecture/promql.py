"""Reads PromQL, as far as alerts and dashboards here use it: what does not parse fails before Prometheus sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?![a-z\d]))|(?P<duration>(?:\d+(?:ms|[smhdwy]))+)|(?P<string>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],]))"
)
AGGREGATIONS = {"sum", "max", "min", "avg", "count", "topk", "bottomk", "quantile", "stddev", "group"}
OVER_RANGES = {"rate", "irate", "increase", "delta", "changes", "avg_over_time", "max_over_time", "min_over_time"}
FUNCTIONS = {
    "histogram_quantile",
    "absent",
    "scalar",
    "clamp_max",
    "clamp_min",
    "abs",
    "ceil",
    "time",
    "vector",
    *OVER_RANGES,
}
BINARY = [{"or"}, {"and", "unless"}, {"==", "!=", ">", "<", ">=", "<="}, {"+", "-"}, {"*", "/", "%"}, {"^"}]
WORDS = {"or", "and", "unless", "by", "without", "on", "ignoring", "bool", "offset"}


class NotPromQL(Exception):
    """The expression does not parse."""


@dataclass
class Selector:
    """A metric as an expression names it, and the labels that it is narrowed or grouped by."""

    name: str
    labels: set[str] = field(default_factory=set)


class Reader:
    """Reads one expression."""

    def __init__(self, text: str) -> None:
        self.selectors: list[Selector] = []
        self._tokens = _tokens(text)
        self._place = 0
        self._expression()
        if self._place != len(self._tokens):
            raise NotPromQL(f"left over: {self._tokens[self._place :]}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self, *wanted: str) -> str:
        kind, token = self._peek()
        if wanted and token not in wanted and kind not in wanted:
            raise NotPromQL(f"{wanted} expected, {token or 'the end'} found")
        self._place += 1
        return token

    def _expression(self, level: int = 0) -> str:
        """One expression of this precedence or higher. What it gives: a `scalar`, a `vector` or a `range`."""
        if level == len(BINARY):
            return self._unary()
        left = self._expression(level + 1)
        while self._peek()[1] in BINARY[level]:
            self._take()
            if self._peek()[1] == "bool":
                self._take()
            if self._peek()[1] in {"on", "ignoring"}:
                self._take()
                self._names()
            right = self._expression(level + 1)
            if "range" in {left, right}:
                raise NotPromQL("a range takes part in no operation")
            left = "vector" if "vector" in {left, right} else "scalar"
        return left

    def _unary(self) -> str:
        if self._peek()[1] == "-":
            self._take()
        kind, sign = self._peek()
        if kind == "number":
            self._take()
            return "scalar"
        if sign == "(":
            self._take()
            inner = self._expression()
            self._take(")")
            return inner
        name = self._take("name")
        if name in WORDS:
            raise NotPromQL(f"{name} where a metric is expected")
        if name in AGGREGATIONS:
            return self._aggregation()
        return self._call(name) if self._peek()[1] == "(" else self._selector(name)

    def _aggregation(self) -> str:
        first = len(self.selectors)
        labels = self._grouping()
        self._arguments()
        labels |= self._grouping()
        for selector in self.selectors[first:]:
            selector.labels |= labels
        return "vector"

    def _grouping(self) -> set[str]:
        if self._peek()[1] not in {"by", "without"}:
            return set()
        self._take()
        return self._names()

    def _names(self) -> set[str]:
        names = set()
        self._take("(")
        while self._peek()[1] != ")":
            names.add(self._take("name"))
            if self._peek()[1] == ",":
                self._take()
        self._take(")")
        return names

    def _call(self, name: str) -> str:
        if name not in FUNCTIONS:
            raise NotPromQL(f"no function {name}")
        given = self._arguments()
        if (name in OVER_RANGES) != (given[-1:] == ["range"]):
            raise NotPromQL(f"{name} of {given}")
        return "scalar" if name in {"scalar", "time"} else "vector"

    def _arguments(self) -> list[str]:
        given = []
        self._take("(")
        while self._peek()[1] != ")":
            given.append(self._expression())
            if self._peek()[1] != ")":
                self._take(",")
        self._take(")")
        return given

    def _selector(self, name: str) -> str:
        selector = Selector(name)
        self.selectors.append(selector)
        if self._peek()[1] == "{":
            self._take()
            while self._peek()[1] != "}":
                selector.labels.add(self._take("name"))
                operator = self._take("=", "!=", "=~", "!~")
                value = self._take("string")
                if "~" in operator:
                    re.compile(value[1:-1])
                if self._peek()[1] != "}":
                    self._take(",")
            self._take("}")
        if self._peek()[1] == "[":
            self._take()
            self._take("duration")
            self._take("]")
            return "range"
        return "vector"


def selectors(expression: str) -> list[Selector]:
    """Every metric that an expression names.

    Raises:
        NotPromQL: If it does not parse.
    """
    return Reader(expression).selectors


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise NotPromQL(f"at {text[place:]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found
