"""Settings and errors say what they are, in the words people read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deploy.setup.settings_reference import REFERENCE, render
from pipeline import errors
from pipeline.errors import SitewiseError
from pipeline.settings import Settings


def test_every_setting_is_described() -> None:
    """A setting carries its meaning; a group says what it is about."""
    fields = dict(_fields(Settings))

    undescribed = [name for name, field in fields.items() if not field.description and not _is_group(field)]

    assert undescribed == []
    assert [name for name, field in fields.items() if _is_group(field) and not inspect.getdoc(field.annotation)] == []


def test_the_settings_reference_is_what_the_code_says() -> None:
    """`make settings-reference` would change nothing."""
    written = REFERENCE.read_text()

    assert written == render()


def test_every_error_says_what_happened() -> None:
    """An error's docstring is the message a person reads: one sentence of its own."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SitewiseError)]

    mute = [kind.__name__ for kind in kinds if not (kind.__doc__ or "").strip().splitlines()[0].endswith(".")]

    assert len(kinds) > 10
    assert mute == []


def test_every_error_a_person_must_act_on_says_what_to_do() -> None:
    """A set-up error that names no remedy leaves its reader alone."""
    kinds = errors.SetupError.__subclasses__()

    assert [kind.__name__ for kind in kinds if not kind.remedy] == []


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield prefix + name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
