"""How this process and its parts are."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """How the parts this process works with are."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: what is asked is answered, with what is there. `unavailable`: nothing can be answered."
    )
    parts: dict[str, str] = Field(
        description="Each part, and `ok` or why not.",
        examples=[{"database": "ok", "broker": "ok", "vectors": "ok", "model": "ok"}],
    )
