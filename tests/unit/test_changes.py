"""What counts as a change of a page: every edit of a fact does, and nothing that changes by itself."""

from __future__ import annotations

import pytest

from pipeline.model import Document
from pipeline.stages.extract import extract
from tests.fakes.changing_pages import PAGES

EDITS = [
    ("pricing", "a price in a table", "<td>$29</td>", "<td>$39</td>"),
    ("pricing", "a digit more", "<td>$99</td>", "<td>$990</td>"),
    ("pricing", "seats", "<td>15</td>", "<td>25</td>"),
    ("pricing", "a unit in a table", "2 TB", "2 GB"),
    ("pricing", "a number for a word", "<td>unlimited</td>", "<td>500</td>"),
    ("pricing", "plan names swapped", "<td>Starter</td><td>$9</td><td>3</td>", "<td>Team</td><td>$9</td><td>3</td>"),
    ("pricing", "a plan renamed", "<td>Company</td>", "<td>Business</td>"),
    ("pricing", "a column renamed", "<th>Price a month</th>", "<th>Price a year</th>"),
    ("pricing", "a row gone", "<tr><td>Starter</td><td>$9</td><td>3</td><td>10 GB</td></tr>", ""),
    ("pricing", "rows swapped by name", "<li>Starter: email", "<li>Team: email"),
    ("pricing", "a trial's length", "lasts 14 days", "lasts 41 days"),
    ("pricing", "a negation gone", "not include tax", "include tax"),
    ("pricing", "a negation added", "needs no credit card", "needs a credit card"),
    ("pricing", "a word of time", "support on weekdays", "support on weekends"),
    ("pricing", "hours of an answer", "within 48 hours", "within 24 hours"),
    ("pricing", "a channel", "chat support", "phone support"),
    ("pricing", "what a plan counts", "10,000 views a month", "20,000 views a month"),
    ("pricing", "a percentage", "saves 20%", "saves 25%"),
    ("pricing", "digits transposed", "$278.40", "$287.40"),
    ("pricing", "cents", "$278.40", "$278.90"),
    ("pricing", "a day of the month", "1 April", "7 April"),
    ("pricing", "a month", "1 April", "1 August"),
    ("pricing", "before or after", "30 days before", "30 days after"),
    ("pricing", "a fraction in words", "Students pay half", "Students pay a third"),
    ("pricing", "who is eligible", "are not eligible", "are eligible"),
    ("pricing", "a price on a card", '"price">$9 a month', '"price">$8 a month'),
    ("pricing", "cards swapped", "<h3>Starter</h3>", "<h3>Team Lite</h3>"),
    ("pricing", "a definition", "$0.05 for each", "$0.50 for each"),
    ("pricing", "a term", "<dt>Refunds</dt>", "<dt>Exchanges</dt>"),
    ("pricing", "a deadline", "within 60 days", "within 6 days"),
    ("pricing", "currency", "<td>$9</td>", "<td>\u20ac9</td>"),
    ("product", "the price box", '"price">$129.00', '"price">$139.00'),
    ("product", "a price for machines alone", '"price":"129.00"', '"price":"119.00"'),
    ("product", "availability for machines alone", "schema.org/InStock", "schema.org/OutOfStock"),
    ("product", "an article number for machines", '"gtin13":"4006381333931"', '"gtin13":"4006381333948"'),
    ("product", "days to ship", "ships in 2 days", "ships in 9 days"),
    ("product", "a height", "152 cm high", "125 cm high"),
    ("product", "a decimal point", "6.4 kg. Its", "64 kg. Its"),
    ("product", "a unit", "2.5 m long", "2.5 ft long"),
    ("product", "a socket", "E27 bulbs", "E14 bulbs"),
    ("product", "watts", "up to 60 W", "up to 40 W"),
    ("product", "where it may hang", "is not suitable", "is suitable"),
    ("product", "a warranty", "of 5 years, the shade", "of 3 years, the shade"),
    ("product", "a country", "Made in Norway", "Made in Denmark"),
    ("product", "since when", "since 2011", "since 2012"),
    ("product", "a material", "oiled oak", "oiled ash"),
    ("product", "a value of a table", "<td>230 V</td>", "<td>110 V</td>"),
    ("product", "an article number", "<td>NL-4821-07</td>", "<td>NL-4812-07</td>"),
    ("product", "an energy class", "<td>E</td>", "<td>D</td>"),
    ("product", "shipping inside a fold", "costs $7.50", "costs $5.70"),
    ("product", "returns inside a fold", "Returns are free", "Returns are not free"),
    ("help", "minutes", "valid for 45 minutes", "valid for 15 minutes"),
    ("help", "once or twice", "works only once", "works only twice"),
    ("help", "a step's number", "Wait 10 minutes", "Wait 30 minutes"),
    ("help", "a telephone number", "+47 22 13 55 00", "+47 22 13 55 08"),
    ("help", "opening time", "9:00 and 17:30", "9:00 and 16:30"),
    ("help", "attempts", "after 5 wrong", "after 3 wrong"),
    ("help", "who may", "members cannot", "members can"),
    ("help", "at least, at most", "has at least 12", "has at most 12"),
    ("help", "must or may", "must not contain", "may contain"),
    ("help", "an option of a command", "--port 8443", "--port 8444"),
    ("help", "a version", "Version 4.2.1", "Version 4.1.2"),
    ("help", "newer or older", "or newer", "or older"),
    ("help", "yes or no, folded", "<p>Yes, on iOS 17", "<p>No, not on iOS 17"),
    ("help", "a system's version, folded", "iOS 17", "iOS 18"),
    ("help", "an answer for machines", "three times", "two times"),
    ("help", "the heading", "<h2>Passwords that we accept", "<h2>Passwords that we refuse"),
    ("contact", "a house number", "14 Storgata", "41 Storgata"),
    ("contact", "a postcode", "0155 Oslo", "0151 Oslo"),
    ("contact", "a floor", "second floor", "third floor"),
    ("contact", "a cost an hour", "40 kroner", "60 kroner"),
    ("contact", "closing time", "9:00\u201318:00", "9:00\u201317:00"),
    ("contact", "closed or open", "<td>closed</td>", "<td>12:00\u201315:00</td>"),
    ("contact", "a holiday", "17 May", "1 May"),
    ("contact", "an address to write to", "shop@nordlicht", "sales@nordlicht"),
    ("contact", "a fax number", "22 13 55 01", "22 13 55 10"),
    ("contact", "a tax number", "987 654 321", "987 645 321"),
    ("contact", "welcome or not", "Dogs are welcome", "Dogs are not welcome"),
    ("contact", "how many", "more than 8", "more than 18"),
    ("contact", "an area", "310 square metres", "301 square metres"),
    ("contact", "when it opens", "June 2027", "July 2027"),
]
FIRST = '<li><a href="/b">Which bulb fits which lamp</a></li>'
SECOND = '<li><a href="/c">How we test a dimmer</a></li>'
NOISE = [
    ("pricing", "a nonce", 'nonce="r4nd0m"', 'nonce="0ther"'),
    ("pricing", "a CSRF token", "dGhpcyBpcyBvbmUgdG9rZW4", "YW5vdGhlciBvbmU"),
    ("pricing", "a token in a form", 'value="a1b2c3d4"', 'value="d4c3b2a1"'),
    (
        "pricing",
        "state in a script",
        '"session":"5f2c","rendered":1772352000',
        '"session":"9e1d","rendered":1772438400',
    ),
    ("pricing", "a time in meta", "2026-03-01T08:00:00Z", "2026-03-02T08:00:00Z"),
    ("pricing", "a version of the style sheet", "site.css?v=1a2b3c4d", "site.css?v=5e6f7a8b"),
    ("pricing", "a bundle's hash", "app.9f8e7d.js", "app.0a1b2c.js"),
    ("pricing", "classes of an experiment", "theme-a exp-b", "theme-b exp-c"),
    ("pricing", "a variant of the layout", "content variant-1", "content variant-2"),
    ("pricing", "an attribute", 'data-request="7c9e6679"', 'data-request="1d2c3b4a"'),
    ("pricing", "a comment", "web-07 at 12:04:55", "web-03 at 18:44:01"),
    ("pricing", "tracking", 'track("view", 5512', 'track("view", 9921'),
    ("pricing", "a view counter", "3,481 views", "3,502 views"),
    ("pricing", "an age", "Updated 3 hours ago", "Updated 5 hours ago"),
    ("pricing", "the cart", "Cart (0)", "Cart (2)"),
    ("pricing", "who is online", "1,204 visitors online", "987 visitors online"),
    ("pricing", "the year of the copyright", "\u00a9 2026", "\u00a9 2027"),
    ("pricing", "how long it took", "generated in 0.083 seconds", "generated in 0.127 seconds"),
    ("pricing", "a request's number", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "16fd2706-8baf-433b-82eb-8c7fada847da"),
    ("pricing", "the banner of the week", "code MARCH10", "code APRIL15"),
    ("pricing", "how many cookies", "We use 14 cookies", "We use 17 cookies"),
    ("pricing", "white space", "<p>Students pay half.", "<p>\n   Students   pay\thalf."),
    ("pricing", "an id", 'id="content"', 'id="content-2x"'),
    ("pricing", "what is popular", "Seven lamps for small rooms", "Nine rooms for large lamps"),
    ("pricing", "related links in another order", FIRST + SECOND, SECOND + FIRST),
    ("pricing", "another related link", "Lamp Alba</a> <span>$49.00", "Lamp Zephyr</a> <span>$89.00"),
    ("product", "a related price", "<span>$59.00</span>", "<span>$54.00</span>"),
    ("product", "a date for machines", '"dateModified":"2026-03-01', '"dateModified":"2026-03-02'),
    ("product", "a rating's count", "212 reviews", "213 reviews"),
    ("help", "a time stamp", "2026-03-01 08:14 UTC", "2026-03-02 21:40 UTC"),
    ("help", "votes", "148 people found this helpful", "151 people found this helpful"),
    ("help", "a widget's state", 'aria-expanded="false"', 'aria-expanded="true"'),
    ("help", "a widget's id", "p1", "panel-77"),
    ("help", "the order of attributes", '<meta charset="utf-8">', '<meta charset="utf-8" data-x="1">'),
    ("contact", "emphasis", "Dogs are welcome", "<strong>Dogs</strong> are welcome"),
    ("contact", "a link's tracking", 'href="/pricing"', 'href="/pricing?utm_source=nav"'),
    ("contact", "a session in a link", 'href="/help"', 'href="/help;jsessionid=1F2E3D"'),
]


def read(html: str) -> Document:
    """The page as extraction reads it."""
    return extract(html.encode(), url="https://shop.example/page")


def says_the_same(before: Document, after: Document) -> bool:
    """Whether a crawl takes the page for unchanged."""
    return (before.text_hash, before.fact_hash, before.title) == (after.text_hash, after.fact_hash, after.title)


def edited(page: str, old: str, new: str) -> tuple[Document, Document]:
    """The page before and after an edit."""
    assert old in PAGES[page]
    return read(PAGES[page]), read(PAGES[page].replace(old, new))


@pytest.mark.parametrize(("page", "what", "old", "new"), EDITS, ids=[f"{page}: {what}" for page, what, _, _ in EDITS])
def test_an_edit_of_a_fact_is_a_change(page: str, what: str, old: str, new: str) -> None:
    """However small: a digit, a unit, a "not", a name."""
    before, after = edited(page, old, new)

    assert not says_the_same(before, after), what


@pytest.mark.parametrize(("page", "what", "old", "new"), NOISE, ids=[f"{page}: {what}" for page, what, _, _ in NOISE])
def test_what_changes_by_itself_is_no_change(page: str, what: str, old: str, new: str) -> None:
    """A page that nobody edited says the same the next time."""
    before, after = edited(page, old, new)

    assert says_the_same(before, after), what
