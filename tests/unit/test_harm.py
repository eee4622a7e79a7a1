"""When changes of a website are harm to what is known of it."""

from __future__ import annotations

import pytest

from pipeline.services.harm import Replaced, least_harmed, worse


def judged(pairs: list[tuple[str, str]], *, least: int = 3) -> list[bool]:
    """Whether each text is worse than the one before."""
    return worse(lambda: [Replaced.of(*pair) for pair in pairs], least=least, share=0.3)


@pytest.mark.parametrize(
    ("serving", "most"), [(0, 1), (1, 1), (2, 2), (3, 3), (10, 3), (14, 3), (15, 4), (100, 21), (1_000, 201)]
)
def test_more_than_a_fifth_and_two_is_too_much(serving: int, most: int) -> None:
    """Of a small website three pages, or all it has."""
    assert least_harmed(serving, share=0.2, least=3) == most


def test_one_text_in_place_of_many_is_harm_though_it_is_as_long() -> None:
    """The start page under every address: nothing is shorter, and all that was known is gone."""
    start = "Welcome to our shop of lamps and shades with free returns for every customer in town"
    pairs = [(f"lamp{n} price{n} cable{n} width{n} bulb{n} shade{n} colour{n} years{n}", start) for n in range(4)]

    assert judged(pairs) == [True] * 4
    assert judged(pairs, least=5) == [False] * 4


def test_a_catalogue_may_say_much_the_same_before_and_after() -> None:
    """Pages that differ in two words and go on to differ in two are rewritten, not emptied."""
    old = "Our lamp named {n} costs {n}00 euros and is sent in three days to any address you like"
    new = "Model {n} sells for {n}50 euros these days while delivery takes about one week by parcel service"

    assert judged([(old.format(n=n), new.format(n=n)) for n in range(6)]) == [False] * 6


def test_a_text_of_which_little_is_left_is_harm_by_itself() -> None:
    """Less than three words in ten."""
    long = " ".join(f"word{n}" for n in range(20))

    assert judged([(long, "five other words stand here"), (long, "now seven quite other words stand here")]) == [
        True,
        False,
    ]
