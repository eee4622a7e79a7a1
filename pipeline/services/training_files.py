"""Training as a file: scenarios that people write in a document, as YAML or as a spreadsheet's CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import yaml  # type: ignore[import-untyped] # it ships no types

from pipeline.errors import InvalidScenario
from pipeline.services.tabular import Loader
from pipeline.services.training_text import PRIORITY_LIMIT

Format = Literal["yaml", "csv"]
Entry = dict[str, Any]
"""One scenario of a file: only the fields that the file names, each already of its type."""

SIZE_LIMIT = 20_000_000
"""Characters of a file: five times what 200 full scenarios need."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""A spreadsheet would run a cell that begins so; an apostrophe before it makes it text again."""

LISTS = ("triggers", "draft_triggers", "restricted_to_channels", "restricted_to_segments")
MOMENTS = ("start_time", "end_time")
TEXTS = ("title", "content", "draft_title", "draft_content", "directory", "type", "id")
FIELDS = (
    "id",
    "title",
    "content",
    "type",
    "triggers",
    "is_draft",
    "directory",
    "restricted_to_channels",
    "restricted_to_segments",
    "start_time",
    "end_time",
    "priority",
    "metadata",
    "draft_title",
    "draft_content",
    "draft_triggers",
)
"""In the order they are written. `directory` is a name; null, or an empty cell, is none."""


def write(entries: Sequence[Mapping[str, Any]], form: Format) -> str:
    """Scenarios as a file's text. Reading it gives the same entries."""
    plain = [{field: _plain(entry.get(field)) for field in FIELDS} for entry in entries]
    if form == "yaml":
        text: str = yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
        return text
    with io.StringIO(newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows([_guarded(_cell(entry[field])) for field in FIELDS] for entry in plain)
        return file.getvalue()


def read(text: str, form: Format) -> list[Entry]:
    """The scenarios a file holds.

    Raises:
        InvalidScenario: If the file cannot be read, naming the place.
    """
    if len(text) > SIZE_LIMIT:
        raise InvalidScenario(problem=f"the file has more than {SIZE_LIMIT} characters")
    rows = _read_yaml(text) if form == "yaml" else _read_csv(text)
    return [_entry(row, place) for place, row in enumerate(rows, start=1)]


_BLOCK = re.compile(r"(?![\s#-])(?:[^\W\n]|[ !-/:-@\[-`{-~\n])*(?<![ ])")
_UNUSUAL = re.compile(r"[^\w !-/:-@\[-`{-~]")
"""What block style keeps as it is, and what plain style might not."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc] # its base has no types
    """Long texts as blocks, as a person would write them."""


def _block(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    is_plain = "\n" in value and _BLOCK.fullmatch(value) is not None
    style = "|" if is_plain else '"' if _UNUSUAL.search(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _block)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _cell(value: object) -> str:
    """A value as a spreadsheet's cell: lists line by line, unless a line could be misread."""
    if value is None:
        return ""
    if isinstance(value, list):
        lines = "\n".join(value)
        is_clear = _lines(lines) == value and not lines.startswith("[")
        return lines if is_clear else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _lines(cell: str) -> list[str]:
    return [line.strip() for line in cell.split("\n") if line.strip()]


def _read_yaml(text: str) -> list[object]:
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=Loader)):
            raise InvalidScenario(problem="the file uses YAML aliases; write each value out")
        rows = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidScenario(problem=f"the file is not YAML: {' '.join(str(error).split())[:300]}") from error
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise InvalidScenario(problem="the file has to be a list of scenarios")
    return rows


def _read_csv(text: str) -> list[object]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidScenario(problem=f"the file is not CSV: {error}") from error
    if not rows:
        return []
    names = [name.strip().lower() for name in rows[0]]
    found: list[object] = []
    for place, row in enumerate(rows[1:], start=1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(names):
            raise InvalidScenario(scenario=place, problem="a row has more cells than the first one names")
        found.append({name: _from_cell(name, _unguarded(cell)) for name, cell in zip(names, row, strict=False)})
    return found


_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,9}")


def _from_cell(name: str, cell: str) -> object:
    """A cell as what YAML would have said."""
    if name in LISTS:
        if name == "draft_triggers" and not cell:
            return None
        return _json(cell) if cell.lstrip().startswith("[") else _lines(cell)
    if name == "is_draft":
        return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}.get(
            cell.strip().lower(), cell
        )
    if name == "priority":
        return int(cell) if _WHOLE_NUMBER.fullmatch(cell.strip()) else cell or 0
    if name == "metadata":
        return _json(cell) if cell.strip() else {}
    return cell or None


def _json(cell: str) -> object:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _entry(row: object, place: int) -> Entry:
    """A scenario with every field checked for its type; what it may hold is checked when it is stored."""
    if not isinstance(row, dict):
        raise InvalidScenario(scenario=place, problem="it is not a list of fields and values")
    if unknown := [name for name in row if name not in FIELDS]:
        raise InvalidScenario(scenario=place, field=unknown[0], problem="there is no such field")
    entry = {name: _typed(name, value, place) for name, value in row.items()}
    if not entry.get("title") and not entry.get("id"):
        raise InvalidScenario(scenario=place, field="title", problem="it is missing")
    return entry


def _typed(name: str, value: object, place: int) -> object:
    checks: dict[str, tuple[Callable[[object], bool], str]] = {
        **dict.fromkeys(TEXTS, (_is_text, "it is not text; put it into quotes")),
        **dict.fromkeys(LISTS, (_is_list, "it is not a list of texts; put each into quotes")),
        "is_draft": (lambda given: isinstance(given, bool), "it is neither yes nor no"),
        "priority": (_is_priority, f"it is no whole number from -{PRIORITY_LIMIT} to {PRIORITY_LIMIT}"),
        "metadata": (lambda given: isinstance(given, dict), "it is no JSON object"),
    }
    if name in MOMENTS:
        return _moment(name, value, place)
    if value is None:
        return None
    is_right, problem = checks[name]
    if not is_right(value):
        raise InvalidScenario(scenario=place, field=name, problem=problem)
    return tuple(value) if isinstance(value, list) else value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_priority(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= PRIORITY_LIMIT


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _moment(name: str, value: object, place: int) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if moment is None or (isinstance(moment, datetime) and moment.tzinfo is not None and moment.astimezone(UTC)):
            return moment
    except (ValueError, OverflowError):  # no time at all, or one before year 1 or after 9999 in UTC
        pass
    raise InvalidScenario(
        scenario=place, field=name, given=value, allowed="a time with its zone, such as 2027-01-31T09:00:00+01:00"
    )
