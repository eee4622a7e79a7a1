"""Rows of a YAML list, of lines of JSON, or of a spreadsheet's CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Literal

import yaml  # type: ignore[import-untyped] # it ships no types

SIZE_LIMIT = 20_000_000
"""Characters of a file."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # its base has no types
    """The safe loader, in C where PyYAML was built with it; of numbers it takes those that can be shown again."""


def _whole_number(loader: Loader, node: yaml.ScalarNode) -> int:
    try:
        number: int = loader.construct_yaml_int(node)
        str(number)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(
            None, None, f"a number is too long: {error}", node.start_mark
        ) from error
    return number


Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


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
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=Loader))
        rows = None if has_aliases else yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidTable(f"the file is not YAML: {' '.join(str(error).split())[:300]}") from error
    if has_aliases:
        raise InvalidTable("the file uses YAML aliases; write each value out")
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
