"""Write `deploy/settings.md` from the settings' own descriptions, or check that it is current."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pipeline.settings import Settings

REFERENCE = Path(__file__).parents[1] / "settings.md"
OPENING = """# Settings

Every setting is an environment variable. This page is written from the code by `make settings-reference`;
`sitewise settings` shows the values in force and where each comes from. Times are ISO 8601 durations (`PT30S`)
or seconds; lists are separated by commas.

Two more variables are not settings of a deployment but of who uses one: `SITEWISE_SERVER` and `SITEWISE_KEY`,
the address and the key for commands that work with a deployment elsewhere ([remote.md](remote.md)).
"""
COLUMNS = "| variable | default | allowed | what it is |\n|---|---|---|---|\n"


def main() -> int:
    """Write the page, or with `--check` compare it; 1 when it is not current."""
    page = render()
    if "--check" not in sys.argv[1:]:
        REFERENCE.write_text(page)
        return 0
    if REFERENCE.exists() and REFERENCE.read_text() == page:
        return 0
    print("deploy/settings.md is not what the code says: run `make settings-reference`.", file=sys.stderr)  # noqa: T201 - a recipe speaks to a person
    return 1


def render() -> str:
    """The page: one table for the whole, one for each group."""
    groups: list[tuple[str, type[BaseModel], str]] = [("SITEWISE_", Settings, "One process"), *_groups()]
    return OPENING + "".join(_section(prefix, model, title) for prefix, model, title in groups)


def _groups() -> Iterator[tuple[str, type[BaseModel], str]]:
    for name, field in Settings.model_fields.items():
        if group := _group(field):
            yield f"SITEWISE_{name.upper()}__", group, name.capitalize()


def _group(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _section(prefix: str, model: type[BaseModel], title: str) -> str:
    rows = [
        f"| `{prefix}{name.upper()}` | {_default(field)} | {_allowed(field)} | {_one_line(field.description)} |\n"
        for name, field in model.model_fields.items()
        if _group(field) is None
    ]
    head = f"\n## {title}\n\n{_one_line(model.__doc__)}\n\n{COLUMNS}"
    return head + "".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, tuple | list):
        return "`" + ",".join(map(_plain, value)) + "`" if value else "none"
    return "none" if value is None or value == "" else f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:  # noqa: PLR2004 - where digits stop being read at a glance
        return f"{value:_}"
    return str(value)


def _allowed(field: FieldInfo) -> str:
    """The choices or bounds of a setting, or its kind."""
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(f"`{choice}`" for choice in choices)
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "pattern": "like"}
    bounds = [
        f"{word} `{_plain(getattr(rule, name))}`"
        for rule in field.metadata
        for name, word in words.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(bounds) or _kind(field.annotation)


def _kind(annotation: object) -> str:
    kinds: dict[object, str] = {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        str: "text",
        timedelta: "duration",
        Path: "folder",
        SecretStr: "secret text",
    }
    if annotation in kinds:
        return kinds[annotation]
    if get_origin(annotation) is tuple:
        return "list"
    return next((kinds[part] for part in get_args(annotation) if part in kinds), "text")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
