"""A short look for inputs that crash or hang a parser; `make fuzz` looks for longer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

SECONDS = 2.0
WORDS = sorted({word for seeds in SEEDS.values() for seed in seeds for word in (seed, *seed.split())})
GIVEN = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=12).map(b"".join),
)
EXAMPLES = {"pages": 60}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """What a parser loads when first used is not counted against an input."""
    for target in TARGETS.values():
        target(b"<p>hello")


@contextmanager
def in_time() -> Iterator[None]:
    """Fail when what is done inside takes longer, in time of this process, than any input may."""
    began = process_time()
    yield
    assert process_time() - began < SECONDS


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_keeps_the_promises(name: str) -> None:
    """No crash, no hang, and what was promised of every result."""

    @settings(
        max_examples=EXAMPLES.get(name, 150), deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(GIVEN)
    def feed(given: bytes) -> None:
        with in_time():
            TARGETS[name](given)

    feed()


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, seeds in SEEDS.items() for seed in seeds])
def test_an_input_repeated_takes_no_longer_than_it_is_long(name: str, seed: bytes) -> None:
    """A thousandfold input is read or refused in time: no part of it is looked at again and again."""
    with in_time():
        TARGETS[name](seed * (50 if name == "pages" else 1_000))
