"""What each half of the search is worth for a message."""

from __future__ import annotations

import pytest

from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.retrieval.languages import OTHER_LETTERS, READ, SAME_LETTERS, language_of, read_by, weights

ENCODE = Bm25Encoder().encode_query


@pytest.mark.parametrize(
    ("message", "among", "language"),
    [
        ("Was kostet der Versand und wie lange dauert er?", ("en", "de"), "de"),
        ("What does shipping cost and how long does it take?", ("de", "en"), "en"),
        ("¿Cuánto cuesta el envío y cuándo llega?", ("en", "es", "fr"), "es"),
        ("Versandkosten?", ("en", "de"), "en"),
        ("كم تكلفة الشحن؟", ("en", "ar"), "ar"),
        ("Сколько стоит доставка?", ("en", "de"), None),
        ("配送需要多少钱?", ("en", "zh-CN"), "zh-CN"),
        ("42?", ("de", "ar"), "de"),
        ("Hello", (), None),
    ],
)
def test_a_message_is_in_the_language_of_its_letters_and_stop_words(
    message: str, among: tuple[str, ...], language: str | None
) -> None:
    """Of those the website speaks; without a sign, in the one most of it is in."""
    assert language_of(message, among, ENCODE) == language


@pytest.mark.parametrize(
    ("language", "message", "read", "dense"),
    [
        ("en", "Where is my lamp?", ("en",), READ),
        ("en-GB", "Where is my lamp?", ("en",), READ),
        (None, "Where is my lamp?", ("en",), READ),
        ("de", "Wo ist meine Lampe?", ("en",), SAME_LETTERS),
        ("de", "Wo ist meine Lampe?", ("en", "de"), READ),
        ("de", "Wo ist meine Lampe?", ("*",), READ),
        ("ar", "أين مصباحي؟", ("en",), OTHER_LETTERS),
        ("en", "أين مصباحي؟", ("en",), OTHER_LETTERS),
        (None, "Где моя лампа?", ("en",), OTHER_LETTERS),
        ("ru", "Где моя лампа?", ("ru", "en"), READ),
    ],
)
def test_the_models_half_counts_by_what_the_model_reads(
    language: str | None, message: str, read: tuple[str, ...], dense: float
) -> None:
    """BM25 always counts whole."""
    found = weights(language, message, read=read)

    assert (found.dense, found.sparse) == (dense, 1.0)


def test_a_model_taught_english_alone_is_known_by_its_name() -> None:
    """Of any other model it is believed that it reads everything, unless somebody says what."""
    assert read_by("all-MiniLM-L6-v2", ()) == ("en",)
    assert read_by("intfloat/multilingual-e5-small", ()) == ("*",)
    assert read_by("all-MiniLM-L6-v2", ("de", "en")) == ("de", "en")
