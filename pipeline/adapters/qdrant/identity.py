"""How a collection remembers which model its vectors came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

from pipeline.errors import ModelMismatch
from pipeline.model import ModelIdentity

UNKNOWN = "a model that was not recorded"


def to_record(identity: ModelIdentity) -> dict[str, object]:
    """The identity as plain JSON values."""
    return asdict(identity)


def from_record(record: object) -> ModelIdentity:
    """The identity read back; fields a newer Sitewise added are left out.

    Raises:
        ModelMismatch: If the record is missing or not one of ours.
    """
    if isinstance(record, Mapping):
        known = {field.name: record[field.name] for field in fields(ModelIdentity) if field.name in record}
        if len(known) == len(fields(ModelIdentity)):
            return ModelIdentity(**known)
    raise ModelMismatch(stored=UNKNOWN)


def check_same(stored: ModelIdentity, asked: ModelIdentity) -> None:
    """Refuse to mix vectors of two models.

    Raises:
        ModelMismatch: With both models and the first thing in which they differ.
    """
    if stored.fingerprint == asked.fingerprint:
        return
    traits = ("name", "revision", "dimension", "pooling", "normalised", "query_prompt", "document_prompt")
    differ = [trait for trait in (*traits, "precision_class") if getattr(stored, trait) != getattr(asked, trait)]
    raise ModelMismatch(stored=_name(stored), asked=_name(asked), differs_in=", ".join(differ))


def _name(identity: ModelIdentity) -> str:
    return f"{identity.name}@{identity.revision} {identity.dimension} {identity.precision}"
