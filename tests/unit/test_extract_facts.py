"""What a page states for machines: products, answers and instructions, in the shapes sites write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html

from pipeline.stages.extract import extract
from pipeline.stages.extract.structured import Structured, facts_markdown, read_structured


def script(content: str, kind: str = "application/ld+json") -> str:
    """One script of that type."""
    return f'<script type="{kind}">{content}</script>'


def read(*scripts: str) -> Structured:
    """What is read of a page with these scripts."""
    return read_structured(html.document_fromstring(f"<html><head>{''.join(scripts)}</head><body></body></html>"))


def stated(*blocks: object) -> Structured:
    """What is read of a page with these blocks of JSON-LD."""
    return read(*(script(json.dumps(block)) for block in blocks))


def shown(block: object, visible: str = "") -> str:
    """The Markdown for what a block states beyond the visible text."""
    return facts_markdown(stated(block), visible)


def offer(**values: object) -> dict[str, object]:
    """A product with one offer."""
    return {"@type": "Product", "name": "Pump", "offers": values}


def how_to(*steps: object) -> dict[str, object]:
    """Instructions with these steps."""
    return {"@type": "HowTo", "name": "Fit the filter", "step": list(steps)}


QUESTION = {
    "@type": "Question",
    "name": "Does it float?",
    "acceptedAnswer": {"@type": "Answer", "text": "Only the large one does."},
}


@pytest.mark.parametrize(
    "block",
    [
        {"@type": "FAQPage", "mainEntity": [QUESTION]},
        {"@type": "FAQPage", "mainEntity": QUESTION},
        {"@graph": [{"@type": "WebSite", "name": "Pumps"}, {"@type": ["FAQPage"], "mainEntity": [QUESTION]}]},
        [{"@type": "Organization"}, [QUESTION]],
        {"@type": "WebPage", "mainEntity": {"@type": "https://schema.org/FAQPage", "mainEntity": [QUESTION]}},
        QUESTION | {"acceptedAnswer": [{"text": "Only the large one does."}, {"text": "Nobody knows."}]},
        QUESTION | {"name": None, "text": "Does it float?"},
    ],
    ids=["list", "single", "graph", "arrays", "nested", "answers", "text"],
)
def test_a_question_is_found_wherever_it_stands(block: object) -> None:
    """A question and its answer are read from every place the vocabulary allows."""
    assert stated(block).questions == [("Does it float?", "Only the large one does.")]


@pytest.mark.parametrize(
    "answer",
    [None, "Only the large one does.", [], {}, {"text": ""}, {"text": True}, {"text": ["no"]}],
)
def test_a_question_without_an_answer_is_none(answer: object) -> None:
    """A question whose answer has no text is left out."""
    assert stated(QUESTION | {"acceptedAnswer": answer}).questions == []


def test_no_page_states_more_than_a_hundred_answers() -> None:
    """Of endless questions the first hundred count."""
    entries = [QUESTION | {"name": f"Question {number}?"} for number in range(150)]

    questions = stated({"@type": "FAQPage", "mainEntity": entries}).questions

    assert [question for question, _ in questions] == [f"Question {number}?" for number in range(100)]


def test_a_block_of_endless_objects_is_not_read_to_its_end() -> None:
    """After two thousand objects a block has said enough."""
    entries: list[object] = [{"@type": "Thing"}] * 3_000

    assert stated([*entries, QUESTION]).questions == []
    assert stated([*entries[:1_000], QUESTION]).questions == [("Does it float?", "Only the large one does.")]


@pytest.mark.parametrize(
    "page",
    [
        script("{"),
        script(""),
        script("[" * 20_000),
        script('{"@type": 7, "name": 3}'),
        script("null"),
        script('{"@type": "Product", "name": "' + "x" * 500_000 + '"}'),
        script(json.dumps(QUESTION), "application/json"),
    ],
    ids=["cut", "empty", "deep", "number", "null", "long", "other"],
)
def test_what_cannot_be_read_states_nothing(page: str) -> None:
    """Broken, endless or foreign scripts are passed over."""
    assert read(page) == Structured()


def test_a_broken_block_does_not_hide_the_next() -> None:
    """Each script is read for itself, line breaks inside texts and parameters of its type included."""
    good = '{"@type": "Product", "name": "Pump\n3"}'

    found = read(script("{]"), script(good, "Application/LD+JSON; charset=utf-8"))

    assert found.products == [{"name": "Pump 3"}]


@pytest.mark.parametrize(
    ("values", "price"),
    [
        ({"price": "19.90", "priceCurrency": "EUR"}, "19.90 EUR"),
        ({"price": 19.9, "priceCurrency": "EUR"}, "19.9 EUR"),
        ({"@type": "AggregateOffer", "lowPrice": 5, "highPrice": 9, "priceCurrency": "USD"}, "5 USD"),
        ({"priceSpecification": {"price": "7", "priceCurrency": "CHF"}}, "7 CHF"),
        ({"priceSpecification": ["free", {"price": "7", "priceCurrency": "CHF"}]}, "7 CHF"),
        ({"price": "12"}, "12"),
        ({"priceCurrency": "EUR"}, None),
        ({"price": True, "priceCurrency": "EUR"}, None),
    ],
)
def test_a_price_is_read_from_every_kind_of_offer(values: dict[str, object], price: str | None) -> None:
    """A plain price, the lowest of many, or the one of a specification; a currency alone is no price."""
    assert stated(offer(**values)).products[0].get("Price") == price


def test_a_product_keeps_what_identifies_it() -> None:
    """Brand, numbers, and the first offer's price and availability are kept; empty ones are not."""
    block = {
        "@type": "Product",
        "name": "Pump <b>3</b>",
        "description": "",
        "brand": {"@type": "Brand", "name": "Aqua"},
        "sku": 4711,
        "mpn": "AQ-3",
        "gtin8": "12345670",
        "gtin13": "4006381333931",
        "offers": [
            {"price": "19.90", "priceCurrency": "EUR", "availability": "https://schema.org/InStock"},
            {"price": "25", "priceCurrency": "EUR"},
        ],
    }

    assert stated(block).products == [
        {
            "name": "Pump 3",
            "Brand": "Aqua",
            "SKU": "4711",
            "MPN": "AQ-3",
            "GTIN": "4006381333931",
            "Price": "19.90 EUR",
            "Availability": "InStock",
        }
    ]


@pytest.mark.parametrize("offers", [None, [], "https://example.com/offer", ["https://example.com/offer"]])
def test_a_product_may_have_no_readable_offer(offers: object) -> None:
    """A product without offers, or with mere links to them, has no price; its brand may be a plain text."""
    block = {"@type": "Product", "name": "Pump", "brand": "Aqua", "offers": offers}

    assert stated(block).products == [{"name": "Pump", "Brand": "Aqua"}]


@pytest.mark.parametrize(
    ("price", "visible", "told"),
    [
        ("19.90", "Now only 19,90 €", True),
        ("19.9", "Now only 19.90 €", True),
        ("19.00", "Now only 19 €", True),
        ("19", "Now only 19.00 €", True),
        ("19", "Now only 19.", True),
        ("9", "Founded in 1999", False),
        ("9", "Version 3.9", False),
        ("9", "Now only 9.50 €", False),
        ("9.5", "Now only 9.55 €", False),
    ],
)
def test_a_price_is_repeated_only_if_no_number_of_the_text_is_it(price: str, visible: str, told: bool) -> None:  # noqa: FBT001 - a row of the table
    """A price inside a longer number is not told; its spelling with comma or zeros is."""
    added = shown(offer(price=price, priceCurrency="EUR"), visible)

    assert added == ("" if told else f"- Price: {price} EUR")


def test_facts_in_the_text_are_not_repeated() -> None:
    """Of brand, number and description only what the visible text lacks is added."""
    description = "A quiet pump for ponds of up to three thousand litres, with a filter."
    block = {"@type": "Product", "name": "Pump", "brand": "Aqua", "sku": "AQ-3", "description": description}

    assert shown(block, "The AQUA pump") == f"- SKU: AQ-3\n\n{description}"
    assert shown(block, f"aqua aq-3: {description.upper()}") == ""
    assert shown(block | {"description": "A quiet pump."}, "Aqua AQ-3") == ""


def test_a_list_of_products_states_no_facts_of_this_page() -> None:
    """Three products are the page's own; four are a list of other pages' products."""
    products = [offer(price=str(price), priceCurrency="EUR") for price in (10, 20, 30, 40)]

    assert shown(products[:3]) == "- Price: 10 EUR\n\n- Price: 20 EUR\n\n- Price: 30 EUR"
    assert shown(products) == ""


def test_what_is_stated_twice_is_told_once() -> None:
    """Two plugins that state the same product and question add them once."""
    block = [offer(price="10", priceCurrency="EUR"), QUESTION]

    assert shown([*block, *block]) == "- Price: 10 EUR\n\n### Does it float?\n\nOnly the large one does."


def test_an_answer_the_visitor_can_read_is_not_added() -> None:
    """An answer of which the page shows the start or the end is there already."""
    assert shown(QUESTION, "does it float? ONLY the large  one does. Really.") == ""
    assert shown(QUESTION, "Does it float?") == "### Does it float?\n\nOnly the large one does."


def test_texts_lose_their_markup() -> None:
    """Tags go, character references become characters, and white space is one blank."""
    answer = "<p>Salt &amp; fresh&nbsp;water,</p>\n<ul><li>up to 3&#8239;m &lt;10 ft&gt;</li></ul>"

    found = stated(QUESTION | {"acceptedAnswer": {"text": answer}})

    assert found.questions == [("Does it float?", "Salt & fresh water, up to 3 m <10 ft>")]


@pytest.mark.parametrize(
    ("steps", "texts"),
    [
        (["Open it.", "Close it."], ["Open it.", "Close it."]),
        ([{"@type": "HowToStep", "text": "Open it."}, {"name": "Close it."}], ["Open it.", "Close it."]),
        (
            [{"@type": "HowToSection", "name": "First", "itemListElement": [{"text": "Open it."}, {"name": "Wait."}]}],
            ["Open it.", "Wait."],
        ),
        ([{"@type": "HowToStep", "itemListElement": {"@type": "HowToDirection", "text": "Open it."}}], ["Open it."]),
        (
            [
                {
                    "@type": "HowToSection",
                    "itemListElement": [
                        {"@type": "HowToStep", "name": "Opening", "itemListElement": [{"text": "Turn left."}, "Pull."]}
                    ],
                }
            ],
            ["Turn left.", "Pull."],
        ),
        ([{"text": "Open it.", "itemListElement": [{"text": "Unread."}]}], ["Open it."]),
        (["", {"@type": "HowToStep"}, 7, "Open it."], ["7", "Open it."]),
    ],
    ids=["texts", "steps", "section", "direction", "three levels", "own text", "empty"],
)
def test_steps_are_read_in_all_their_shapes(steps: list[object], texts: list[str]) -> None:
    """Plain texts, steps, sections of steps, and steps of directions all become one list."""
    assert stated(how_to(*steps)).steps == [("Fit the filter", texts)]


def test_a_single_step_need_not_be_in_a_list() -> None:
    """One step is a list of one; instructions without any step say nothing."""
    assert stated(how_to() | {"step": "Open it."}).steps == [("Fit the filter", ["Open it."])]
    assert stated(how_to(), how_to({"image": "x.png"})).steps == []


def test_steps_nested_without_end_are_not_followed() -> None:
    """Below three levels of sections nothing is read."""
    step: object = "Open it."
    for _ in range(200):
        step = {"@type": "HowToSection", "itemListElement": [step]}

    assert stated(how_to(step)).steps == []


def test_instructions_are_added_when_most_steps_are_missing() -> None:
    """Steps are numbered under their name if the page shows no more than half of them."""
    block = how_to("Open the valve.", "Wait a minute.", "Close the valve.")

    assert shown(block, "Open the valve.") == (
        "### Fit the filter\n\n1. Open the valve.\n2. Wait a minute.\n3. Close the valve."
    )
    assert shown(block | {"name": ""}) == "1. Open the valve.\n2. Wait a minute.\n3. Close the valve."
    assert shown(block, "Open the valve. Wait a minute.") == ""


@pytest.mark.parametrize(
    ("entries", "trail"),
    [
        ([{"name": "Home"}, {"item": {"name": "Pumps"}}], ("Home", "Pumps")),
        ([{"item": "https://example.com/"}, "Pumps", {"name": "Pumps"}, {"name": " "}], ("Pumps",)),
        ({"name": "Home"}, ("Home",)),
        (None, ()),
    ],
)
def test_breadcrumbs_are_named_by_entry_or_item(entries: object, trail: tuple[str, ...]) -> None:
    """An entry's own name counts, else its item's; what has none is no part of the trail."""
    assert stated({"@type": "BreadcrumbList", "itemListElement": entries}).breadcrumbs == trail


def test_the_first_trail_and_the_first_date_count() -> None:
    """A page's second trail and second date change nothing; a date that is no text is none."""
    found = stated(
        {"@type": "BreadcrumbList", "itemListElement": [{"name": "Home"}]},
        {"@type": "BreadcrumbList", "itemListElement": [{"name": "Other"}]},
        {"@type": "NewsArticle", "datePublished": "2024-05-01", "dateModified": 20240502},
        {"@type": "WebPage", "datePublished": "2020-01-01", "dateModified": "2024-05-03"},
        {"@type": "Event", "datePublished": "1999-01-01"},
    )

    assert found.breadcrumbs == ("Home",)
    assert found.dates == {"datePublished": "2024-05-01", "dateModified": "2024-05-03"}
    assert found.is_article


def test_a_shop_page_is_no_article() -> None:
    """Only prose makes an article; products and plain pages do not."""
    assert not stated({"@type": "Product"}, {"@type": "WebPage"}).is_article


@settings(deadline=None)
@given(st.text(st.characters(categories=["Cs", "Cc", "Cf", "Lu", "So"]), min_size=1))
def test_whatever_json_spells_becomes_text_that_can_be_stored(told: str) -> None:
    """Half a character and control characters can be written in JSON, and in no database."""
    question = QUESTION | {"name": f"Is {told} free?", "acceptedAnswer": {"text": f"Yes, {told} is."}}
    page = f"<title>Help</title>{script(json.dumps(question))}<main><p>The pump has a hose of three metres.</main>"

    document = extract(page.encode(), url="https://www.example.com/")

    assert "free?" in document.markdown
    assert document.markdown.encode().decode() == document.markdown
    assert "\0" not in document.markdown


def test_half_a_character_is_replaced() -> None:
    """An emoji cut in two by whoever shortened the answer leaves a mark, and no page is lost for it."""
    block = QUESTION | {"acceptedAnswer": {"text": "Yes, it does \ud83d\x00 float \U0001f600."}}

    assert shown(block).endswith("Yes, it does \N{REPLACEMENT CHARACTER} float \U0001f600.")
