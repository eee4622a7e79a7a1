"""Rows of a YAML list, of lines of JSON, or of a spreadsheet's CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Literal

import yaml  # type: ignore[import-untyped] # it ships no types

SIZE_LIMIT = 20_000_000
"""Characters of a file."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, in C where PyYAML was built with it."""


class InvalidTable(ValueError):
    """The text is no table; the message says why."""


def read_rows(text: str, form: Literal["yaml", "csv"]) -> list[object]:
    """The rows of a file; of CSV, each is a dictionary of the first row's names.

    Raises:
        InvalidTable: If it cannot be read.
    """
    if len(text) > SIZE_LIMIT:
        raise InvalidTable(f"the file has more than {SIZE_LIMIT} characters")
    if form == "csv":
        return _read_csv(text)
    return _read_lines(text) if text.lstrip().startswith("{") else _read_yaml(text)


def _read_lines(text: str) -> list[object]:
    """Lines of JSON: what begins like an object of JSON is no list of YAML."""
    rows: list[object] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            raise InvalidTable(f"line {number} is not JSON: {error}") from error
    return rows


def _read_yaml(text: str) -> list[object]:
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
            raise InvalidTable("the file uses YAML aliases; write each value out")
        rows = yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader, whichever was built
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidTable(f"the file is not YAML: {' '.join(str(error).split())[:300]}") from error
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise InvalidTable("the file has to be a list")
    return rows


def _read_csv(text: str) -> list[object]:
    header = text.partition("\n")[0]
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True))
    except csv.Error as error:
        raise InvalidTable(f"the file is not CSV: {error}") from error
    if not rows:
        return []
    names = [name.strip().lower() for name in rows[0]]
    full = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    if any(len(row) > len(names) for row in full):
        raise InvalidTable("a row has more cells than the first one names")
    return [dict(zip(names, row, strict=False)) for row in full]
