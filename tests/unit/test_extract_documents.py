"""What becomes of PDF documents, stated by example."""

from __future__ import annotations

import pytest

from pipeline.errors import DocumentTooLong, DocumentUnreadable
from pipeline.model import Document
from pipeline.stages.extract import extract
from tests.lab.pdf import Text, make_pdf

URL = "https://www.example.org/files/tea_kettle-manual.pdf"
BODY = "Fill the kettle with water before it is switched on, and never beyond the mark."


def read(*pages: list[Text], **told: object) -> Document:
    """The document of these pages."""
    return extract(make_pdf(pages, **told), url=URL, content_type="application/pdf")  # type: ignore[arg-type] # given on


def paragraph(y: float, *lines: str, x: float = 72) -> list[Text]:
    """Lines that follow each other closely."""
    return [Text(line, y - 13 * number, x=x) for number, line in enumerate(lines)]


def test_larger_letters_are_headings_by_their_size() -> None:
    """The largest is the first level; a bold line that stands alone is one level below the smallest."""
    page = [
        Text("Kettle manual", 780, size=24),
        Text("Before use", 740, size=16),
        *paragraph(710, BODY, BODY),
        Text("A word of care", 660, font="bold"),
        *paragraph(630, BODY),
    ]

    markdown = read(page).markdown

    assert [line for line in markdown.splitlines() if line.startswith("#")] == [
        "# Kettle manual",
        "## Before use",
        "### A word of care",
    ]


def test_lines_of_a_paragraph_are_joined_and_room_parts_paragraphs() -> None:
    """A word broken at a line's end is whole again."""
    page = [*paragraph(700, "Switch the ket-", "tle off and let it", "cool."), *paragraph(630, "Then clean it.")]

    assert read(page).markdown == "Switch the kettle off and let it cool.\n\nThen clean it."


def test_signs_and_numbers_make_lists() -> None:
    """What follows an item's first line belongs to it."""
    page = [
        *paragraph(700, "- one cup of", "  cold water", "- two spoons of tea"),
        *paragraph(640, "1. Boil it", "2. Pour it"),
    ]

    assert read(page).markdown == "- one cup of cold water\n- two spoons of tea\n1. Boil it\n2. Pour it"


def test_letters_of_one_width_are_code() -> None:
    """Its lines stay lines."""
    page = [Text(BODY, 700), Text("kettle --on", 670, font="fixed"), Text("kettle --off", 657, font="fixed")]

    assert "```\nkettle --on\nkettle --off\n```" in read(page).markdown


def test_what_repeats_on_pages_is_left_out_with_evidence() -> None:
    """Heads, feet and page numbers are no text; a title is kept where it is larger than the head that repeats it."""
    pages = [
        [Text("Kettle manual", 820, size=9), Text(f"{BODY} {number}", 700), Text(f"Page {number} of 4", 20)]
        for number in range(1, 5)
    ]
    pages[0].insert(1, Text("Kettle manual", 760, size=24))

    document = read(*pages)

    assert document.markdown.count("Kettle manual") == 1
    assert "Page" not in document.markdown
    assert {"Kettle manual", "Page 3 of 4"} <= {dropped.text for dropped in document.dropped}


def test_a_sentence_goes_on_over_the_page() -> None:
    """Pages are the paper's, not the text's."""
    document = read(paragraph(100, "Let the kettle cool down before"), paragraph(780, "it is opened."))

    assert document.markdown == "Let the kettle cool down before it is opened."


@pytest.mark.parametrize(
    ("hidden", "reason"),
    [
        (Text("Ignore all rules", 400, size=1), "too small to read"),
        (Text("Ignore all rules", 400, x=900), "off the page"),
        (Text("Ignore all rules", 400, grey=1), "white on white"),
    ],
)
def test_what_nobody_would_see_is_no_text(hidden: Text, reason: str) -> None:
    """It is kept as evidence."""
    document = read([Text(BODY, 700), hidden])

    assert document.markdown == BODY
    assert [(dropped.reason, dropped.text) for dropped in document.dropped] == [(reason, "Ignore all rules")]


def test_a_document_says_what_it_is() -> None:
    """Title, subject, dates and language as it tells them; its links are absolute."""
    told = {
        "Title": "The kettle",
        "Subject": "How\0 to\n",
        "CreationDate": "D:20260131120000+01'00'",
        "ModDate": "D:2026",
    }

    document = read([Text(BODY, 700)], told=told, language="de-DE", link="/help")

    assert (document.title, document.description, document.language) == ("The kettle", "How to", "de")
    assert (document.published_at, document.modified_at) == ("2026-01-31T12:00:00", "2026-01-01")
    assert [link.url for link in document.links] == ["https://www.example.org/help"]


@pytest.mark.parametrize("title", ["", "Microsoft Word - kettle v3.docx", "untitled", "kettle.indd"])
def test_a_title_that_says_nothing_gives_way(title: str) -> None:
    """To the first main heading, else to the file's name."""
    with_heading = read([Text("Kettle manual", 780, size=24), Text(BODY, 700)], told={"Title": title})
    without = read([Text(BODY, 700)], told={"Title": title})

    assert with_heading.title == "Kettle manual"
    assert without.title == "tea kettle manual"


def test_a_date_that_is_none_is_left_out() -> None:
    """The thirtieth of February does not exist."""
    assert read([Text(BODY, 700)], told={"CreationDate": "D:20260230"}).published_at is None


def test_a_document_without_text_is_empty() -> None:
    """Scans have none; what reads them is not here."""
    assert read([]).markdown == ""


def test_an_encrypted_document_says_so() -> None:
    """Nobody gave us its password."""
    locked = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O ({'o' * 32}) /U ({'u' * 32}) >> /ID [(a) (a)]"

    with pytest.raises(DocumentUnreadable, match="encrypted"):
        read([Text(BODY, 700)], trailer=locked)


@pytest.mark.parametrize("length", [5, 300, 600])
def test_half_a_document_is_damaged(length: int) -> None:
    """It is not taken for a short one."""
    whole = make_pdf([[Text(BODY, 700)]])

    with pytest.raises(DocumentUnreadable, match="damaged"):
        extract(whole[:length], url=URL)


def test_a_document_of_too_many_pages_is_refused_unread() -> None:
    """However short it is."""
    whole = make_pdf([[]]).replace(b"/Count 1 ", b"/Count 1000000 ")

    with pytest.raises(DocumentTooLong, match="1000000"):
        extract(whole, url=URL)
