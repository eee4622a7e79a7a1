"""Settings as environment variables, so that a child process has exactly those of its parent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, SecretStr
from pydantic_settings import NoDecode

from pipeline.settings import Settings

PREFIX, SEPARATOR = "SITEWISE_", "__"


def environment_of(settings: Settings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a child: what is inherited, with every setting said explicitly.

    Paths become absolute. A setting without a value is taken out, whatever was inherited.
    """
    said = dict(_variables(settings, PREFIX))
    kept = {name: value for name, value in inherited.items() if name.upper() not in said}
    return kept | {name: value for name, value in said.items() if value is not None}


def _variables(group: BaseModel, prefix: str) -> Iterator[tuple[str, str | None]]:
    plain = group.model_dump(mode="json")
    for name, field in type(group).model_fields.items():
        variable = prefix + name.upper()
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from _variables(value, variable + SEPARATOR)
        elif isinstance(value, SecretStr):
            yield variable, value.get_secret_value()
        elif name == "data_dir":
            yield variable, str(value.resolve())
        else:
            yield variable, _text(plain[name], is_list=NoDecode in field.metadata)


def _text(value: object, *, is_list: bool) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if is_list and isinstance(value, list):
        return ",".join(str(part) for part in value)
    return json.dumps(value)
