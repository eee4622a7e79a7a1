"""JSON of any shape that somebody gives to be kept, and given back as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping

LEVELS = 100
"""Of objects and lists within each other: deeper ones cannot be given back."""


def as_kept(value: object) -> str:
    """The value as JSON text.

    Raises:
        ValueError: If no JSON text can hold it, or not so that it could be sent again: half a character (a lone
            surrogate), a number without bounds, what is no JSON at all, or levels beyond `LEVELS`.
    """
    if _is_deeper(value, LEVELS):
        raise ValueError(f"more than {LEVELS} levels of lists and objects")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character (a lone surrogate)") from error
    except (TypeError, ValueError) as error:
        raise ValueError("it is no JSON: numbers have bounds, and keys are texts") from error
    return text


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return levels < 0 or any(_is_deeper(one, levels - 1) for one in inner)
