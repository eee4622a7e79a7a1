"""Blocks that a whole site shows: known again, taken out, and nothing else with them."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.chunk import chunk
from pipeline.stages.chunk.repeats import arrangement, excerpts, read_parts, repeatable, surplus, texts, without
from tests.fakes.embedder import WordTokenizer

BOX = "## Stay in touch\n\nLeave us your address and hear of every new lamp."
OWN = "# Lamp\n\nThis lamp is red and tall.\n\n| Height | 12 |\n| --- | --- |\n| Weight | 3 |\n\n- one\n- two of them"
LINES = st.sampled_from(
    ["# Head", "## Sub", "A line of text.", "- an item", "| a | b |", "| --- | --- |", "", "```", "> said", "1. first"]
)
MARKDOWN = st.lists(LINES, max_size=25).map("\n".join)


def prints(markdown: str) -> set[int]:
    """Fingerprints of all blocks."""
    return {part.fingerprint for part in read_parts(markdown)}


def test_a_block_goes_with_its_heading() -> None:
    """What remains is the page as if the box had never been there."""
    page = f"{OWN}\n\n{BOX}\n\n## Care\n\nWipe it with a dry cloth."

    rest = without(page, prints(BOX))

    assert rest.text == f"{OWN}\n\n## Care\n\nWipe it with a dry cloth."
    assert excerpts(page, prints(BOX)) == BOX.split("\n\n")


def test_a_heading_stays_with_what_it_heads() -> None:
    """The word "Price" stands on every page, and something else under it on each."""
    page = "# Lamp\n\n## Price\n\nIt costs nine euros."

    rest = without(page, prints("## Price"))

    assert rest.text == page


def test_a_heading_of_the_page_alone_stays_without_its_text() -> None:
    """It says something, though what stands under it stands everywhere."""
    page = "# Lamp\n\nA red one of course.\n\n## Sold out\n\nAsk us when it comes back."

    rest = without(page, prints("Ask us when it comes back."))

    assert rest.text == "# Lamp\n\nA red one of course.\n\n## Sold out"


def test_short_answers_are_never_taken_out() -> None:
    """An answer "Yes." says something else under every question."""
    assert texts(repeatable("## Is it free?\n\nYes.\n\n## Is it safe?\n\nNo doubt.")) == set()


def test_a_page_never_loses_all_its_text() -> None:
    """Where too little would remain, everything does."""
    assert surplus(f"# Hello\n\n{BOX}", prints(BOX), least_words=5) == set()
    assert surplus(f"{OWN}\n\n{BOX}", prints(BOX), least_words=5) == prints(BOX)


def test_counters_do_not_make_another_block() -> None:
    """A block is known again by its words, not by who is online."""
    assert prints("Read by many.\n\n1,204 visitors online now") == prints("Read by  many.\n\n7 visitors online now")


@given(MARKDOWN, MARKDOWN)
def test_what_is_taken_out_and_what_remains_is_the_page(markdown: str, other: str) -> None:
    """No word is lost or doubled, and every offset leads to the same characters in the page."""
    left_out = prints(other)

    rest = without(markdown, left_out)
    words = rest.text.split() + [word for text in excerpts(markdown, left_out) for word in text.split()]

    assert sorted(words) == sorted(markdown.split())
    for at, sign in enumerate(rest.text):
        assert markdown[rest.start(at)] == sign
        assert markdown[rest.end(at + 1) - 1] == sign


@given(MARKDOWN, MARKDOWN)
def test_taking_out_twice_is_the_same_as_once(markdown: str, other: str) -> None:
    """The surplus of what is left is none."""
    left_out = surplus(markdown, prints(other), least_words=2)

    rest = without(markdown, left_out)

    assert excerpts(markdown, left_out) == excerpts(markdown, surplus(markdown, left_out, least_words=2))
    assert rest.text.split() == without(markdown, left_out).text.split()


def test_chunks_beside_a_new_block_stay_what_they_were() -> None:
    """With a box in its middle left out, a page is cut as it was without."""
    order = random.Random(7)  # noqa: S311 - an example, no secret
    sections = [
        f"## Part {number}\n\n" + " ".join(f"word{order.randrange(999)}" for _ in range(60)) for number in range(20)
    ]
    page = "\n\n".join(sections)
    boxed = "\n\n".join([*sections[:9], BOX, *sections[9:]])

    before = chunk(page, title="Lamps", tokenizer=WordTokenizer(), max_tokens=100)
    after = chunk(without(boxed, prints(BOX)).text, title="Lamps", tokenizer=WordTokenizer(), max_tokens=100)

    assert [one.text_hash for one in before] == [one.text_hash for one in after]


LONG = "This lamp is made of oiled oak and stands in the middle of a room of any size."
OTHER = "That chair is painted red by hand and comes with a cushion of wool or of linen."


def test_prose_and_sections_say_the_same_in_any_order() -> None:
    """Moving a whole paragraph under its heading, or a section with its heading, changes nothing that is said."""
    page = f"# Shop\n\n## Lamps\n\n{LONG}\n\n{OTHER}\n\n## Hours\n\nNine to five."

    assert arrangement(page) == arrangement(f"# Shop\n\n## Hours\n\nNine to five.\n\n## Lamps\n\n{OTHER}\n\n{LONG}")
    assert arrangement(page) != arrangement(f"# Shop\n\n## Lamps\n\n{LONG}\n\n## Hours\n\nNine to five.\n\n{OTHER}")


def test_what_belongs_to_its_neighbour_keeps_its_order() -> None:
    """A price stands under the name of its plan; two steps come one after the other."""
    assert arrangement("**Basic**\n\n$9\n\n**Team**\n\n$29") != arrangement("**Team**\n\n$9\n\n**Basic**\n\n$29")
    assert arrangement(f"**Basic**\n\n{LONG}\n\n**Team**\n\n{OTHER}") != arrangement(
        f"**Basic**\n\n{OTHER}\n\n**Team**\n\n{LONG}"
    )
