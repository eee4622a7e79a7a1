"""BM25 term weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.adapters.qdrant.sparse import STEMMED, Bm25Encoder


@pytest.fixture
def encoder() -> Bm25Encoder:
    """One encoder."""
    return Bm25Encoder()


@pytest.mark.parametrize(
    ("language", "document", "question"),
    [
        ("en", "Refunds are paid within five days", "refund payment"),
        ("en-GB", "Refunds are paid within five days", "refunding"),
        ("de", "Die Rechnungen werden monatlich verschickt", "Rechnung"),
        ("fr", "Les factures sont envoyées chaque mois", "facture"),
        ("pt-BR", "As faturas são enviadas mensalmente", "fatura"),
        ("pl", "Faktura jest wysyłana co miesiąc", "faktura"),
        ("zh", "我们的价格是每月十元", "价格"),
        ("ja", "返金は五日以内に行われます", "返金"),
        ("ko", "환불은 5일 이내에 처리됩니다", "환불"),
        ("th", "การคืนเงินภายในห้าวัน", "คืนเงิน"),
        ("en", "Our slogan is 每月十元 today", "每月"),
    ],
)
def test_a_question_meets_its_document(encoder: Bm25Encoder, language: str, document: str, question: str) -> None:
    """In the document's own language, inflected words share a term."""
    terms = encoder.encode_document(document, language)
    asked = encoder.encode_query(question, language)

    assert set(asked.indices) & set(terms.indices)


def test_a_language_without_a_stemmer_keeps_its_words(encoder: Bm25Encoder) -> None:
    """No stemming, and no English stop words taken out of another language."""
    terms = encoder.encode_document("the do i", "pl")

    assert len(terms.indices) == 3
    assert encoder.encode_document("the do i", "en").indices == ()


def test_no_language_is_taken_as_english(encoder: Bm25Encoder) -> None:
    """Unknown, empty and absent are the same."""
    assert encoder.encode_document("running dogs") == encoder.encode_document("running dogs", "en")
    assert encoder.encode_document("running dogs", "") == encoder.encode_document("running dogs", "en")


def test_a_question_can_be_asked_of_several_languages(encoder: Bm25Encoder) -> None:
    """Each language adds its own form of the words; a shared form counts once."""
    english, german = encoder.encode_query("Rechnungen", "en"), encoder.encode_query("Rechnungen", "de")

    both = encoder.encode_query("Rechnungen", "en", "de", "de")

    assert set(both.indices) == set(english.indices) | set(german.indices)
    assert set(both.values) == {1.0}


def test_a_single_character_of_an_unspaced_script_is_a_term(encoder: Bm25Encoder) -> None:
    """A word of one character can be asked for where it stands alone."""
    assert encoder.encode_query("茶").indices == encoder.encode_document("茶").indices != ()


def test_a_question_of_stop_words_has_no_terms(encoder: Bm25Encoder) -> None:
    """There is nothing to look up, which is not an error."""
    assert encoder.encode_query("what is the").indices == ()
    assert encoder.encode_query("").indices == ()


def test_a_repeated_word_weighs_more_but_less_each_time(encoder: Bm25Encoder) -> None:
    """Term frequency saturates."""
    once, twice, thrice = (encoder.encode_document("refund " * times).values[0] for times in (1, 2, 3))

    assert once < twice < thrice
    assert twice - once > thrice - twice


@pytest.mark.parametrize("language", [*STEMMED, "xx"])
def test_every_language_can_be_encoded(encoder: Bm25Encoder, language: str) -> None:
    """The engine knows every language the table names."""
    assert encoder.encode_document("Sitewise 2024", language).indices


def test_threads_share_an_encoder(encoder: Bm25Encoder) -> None:
    """The same text gives the same terms from any thread."""
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: encoder.encode_document("Refunds are paid", "de"), range(100)))

    assert len(found) == 1
