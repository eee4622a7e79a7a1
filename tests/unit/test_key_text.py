"""How API keys are written and read."""

from __future__ import annotations

import pytest

from pipeline.errors import KeyRefused
from pipeline.services.key_text import ALPHABET, KINDS, new_key, read_key


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_as_it_was_written(kind: str) -> None:
    """Kind, id and secret come back; nothing of the secret is in what is stored or printed."""
    key = new_key(kind)

    read = read_key(key.shown)

    assert read == key
    assert key.shown.startswith(f"sw_{kind}_")
    assert len(key.secret) == 32
    assert key.secret not in key.sha256
    assert repr(key.secret) not in repr(key)


def test_two_keys_are_never_alike() -> None:
    """Each has an id and a secret of its own."""
    keys = [new_key("org") for _ in range(100)]

    assert len({key.id for key in keys}) == 100
    assert len({key.secret for key in keys}) == 100


def test_every_wrong_character_is_noticed() -> None:
    """One wrong character, at any place, is refused by the text alone."""
    shown = new_key("org").shown
    wrong = [
        shown[:place] + letter + shown[place + 1 :]
        for place in range(len(shown))
        for letter in ALPHABET
        if letter != shown[place]
    ]

    taken = [text for text in wrong if _is_taken(text)]

    assert len(wrong) > 4_500
    assert taken == []


def test_every_lost_added_or_swapped_character_is_noticed() -> None:
    """So is one too few, one too many, and two that changed places."""
    shown = new_key("partner").shown
    lost = [shown[:place] + shown[place + 1 :] for place in range(len(shown))]
    added = [shown[:place] + "A" + shown[place:] for place in range(len(shown) + 1)]
    swapped = [shown[:n] + shown[n + 1] + shown[n] + shown[n + 2 :] for n in range(len(shown) - 1)]

    taken = [text for text in {*lost, *added, *swapped} - {shown} if _is_taken(text)]

    assert taken == []


@pytest.mark.parametrize(
    "text", ["", "sw_org_", "sw_admin_" + "0" * 71, "Bearer", "sw_org_" + "z" * 71, "sw_org_" + "é" * 71]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """Other texts are refused alike, whatever is in them."""
    assert not _is_taken(text)


def _is_taken(text: str) -> bool:
    try:
        read_key(text)
    except KeyRefused:
        return False
    return True
