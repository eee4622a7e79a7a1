"""Every setting with its value, and where the value comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pipeline.settings import Settings

UNITS = ("bytes", "tokens", "pages", "points", "hours", "words")


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting. A secret's value is not shown."""

    name: str
    value: str
    default: str
    source: str
    unit: str
    description: str


def rows(settings: Settings) -> list[SettingRow]:
    """Every setting, in the order of the code."""
    return list(_rows(settings, "SITEWISE_"))


def _rows(group: BaseModel, prefix: str) -> Iterator[SettingRow]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name.upper()}__")
            continue
        variable = f"{prefix}{name.upper()}"
        yield SettingRow(
            name=variable,
            value=_shown(value),
            default=_shown(field.get_default()),
            source=_source(variable, is_set=name in group.model_fields_set, is_nested="__" in variable),
            unit=_unit(value, field),
            description=" ".join((field.description or "").split()),
        )


def _source(variable: str, *, is_set: bool, is_nested: bool) -> str:
    """Options of the command line stand above the environment, and none of them is in a group."""
    if not is_set:
        return "default"
    in_environment = any(name.upper() == variable for name in os.environ)
    return "environment" if in_environment or is_nested else "command line"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}"
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return str(value)


def _unit(value: object, field: FieldInfo) -> str:
    """Seconds for times; for numbers the unit their description opens with."""
    sample = value[0] if isinstance(value, tuple) and value else value
    if isinstance(sample, timedelta) or timedelta in get_args(field.annotation):
        return "seconds"
    words = (field.description or "").lower().replace(",", " ").split()
    return next((word for word in words if word in UNITS), "") if isinstance(value, int) else ""
