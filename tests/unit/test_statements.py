"""Sentences that contradict each other, by amount, denial and opposite; and those that only look so."""

from __future__ import annotations

import pytest

from pipeline.retrieval.statements import amounts, conflict, sentences


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("within 45 days of delivery", {"day": {45}}),
        ("It takes thirty days, or 2 weeks.", {"day": {30}, "week": {2}}),
        ("€1,299.50 or 14% off", {"eur": {1299.5}, "percent": {14}}),
        ("costs 1.299,50 € a year", {"eur": {1299.5}}),
        ("a 60-day trial, 5 working days", {"day": {60}, "working day": {5}}),
        ("Call 0151 496 0000 about E-31, page LM 12", {}),
    ],
)
def test_amounts_are_read_with_their_units(text: str, found: dict[str, set[float]]) -> None:
    """Either notation, spelled or in digits; a number without a unit says nothing that can be compared."""
    assert amounts(text) == found


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("Returns are taken within 30 days.", "You may return goods within 45 days.", "30 against 45 day"),
        ("Shipping is free for every order.", "For every order we charge for shipping.", "free"),
        ("Offer the customer a discount.", "Never offer the customer a discount.", "denies"),
        ("Keep answers short.", "Keep answers long and detailed.", "short"),
    ],
)
def test_a_contradiction_is_a_candidate_with_its_reason(first: str, second: str, reason: str) -> None:
    """Whichever comes first; never quite sure, and the surer the more alike the sentences are."""
    for one, other in ((first, second), (second, first)):
        near, far = conflict(one, other, 0.95), conflict(one, other, 0.65)

        assert near is not None
        assert far is not None
        assert any(word in near.reason for word in (reason, "45 against 30 day", "charge", "long", "detailed"))
        assert 0.3 < far.confidence < near.confidence < 1


@pytest.mark.parametrize(
    ("first", "second", "likeness"),
    [
        ("Returns are taken within 30 days.", "You may return goods within 45 days.", 0.3),
        ("Returns are taken within 45 days.", "Within 45 days, never later, goods come back.", 0.9),
        ("It takes 2 weeks to arrive.", "It takes 45 days to come back.", 0.9),
        ("Answer in short sentences.", "Answer in plain sentences.", 0.9),
    ],
)
def test_what_agrees_or_is_about_something_else_is_none(first: str, second: str, likeness: float) -> None:
    """The same amount, other units, or merely other words raise no alarm."""
    assert conflict(first, second, likeness) is None


def test_markdown_is_read_as_sentences() -> None:
    """Headings, list marks and emphasis fall away; what says nothing is left out."""
    text = "# Returns\n\n- Send it back within **45 days**.\n- Keep the box. Yes.\n\nWho pays? We pay the postage."

    assert sentences(text) == ["Send it back within 45 days.", "Keep the box.", "We pay the postage."]
