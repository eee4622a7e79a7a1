"""What every reranker promises, kept by each that there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.reranker.library import open_reranker
from pipeline.adapters.reranker.port import Reranker
from pipeline.errors import ModelNotFound, RerankerUnavailable
from pipeline.settings import RetrieveSettings
from tests.fakes.reranker import WordReranker
from tests.lab.tiny_bert import write_tiny_cross_encoder

QUESTION = "the price"
TEXTS = ["the price of shipping", "a refund", "", "naïve café 😀", "the query " * 40]


def opened(folder: Path | str, cache: Path) -> Reranker:
    """The model of a folder, as settings would open it."""
    settings = RetrieveSettings(rerank_model=str(folder))
    return open_reranker(settings, device="cpu", threads=1, cache_dir=cache)


@pytest.fixture(params=["library", "words"])
def reranker(request: pytest.FixtureRequest, tmp_path: Path) -> Reranker:
    """Each implementation."""
    if request.param == "words":
        return WordReranker()
    return opened(write_tiny_cross_encoder(tmp_path / "tiny"), tmp_path / "cache")


def test_each_text_gets_a_finite_logit(reranker: Reranker) -> None:
    """Of any script, of none, and of more tokens than the model reads."""
    scores = reranker.score(QUESTION, TEXTS)

    assert scores.shape == (len(TEXTS),)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_no_texts_get_no_logits(reranker: Reranker) -> None:
    """An empty call is no failure."""
    assert reranker.score(QUESTION, []).shape == (0,)


def test_a_score_does_not_depend_on_the_other_texts(reranker: Reranker) -> None:
    """Alone, among others or in another order: the same, beyond rounding."""
    together = reranker.score(QUESTION, TEXTS)

    alone = [reranker.score(QUESTION, [text])[0] for text in TEXTS]
    assert np.allclose(together, alone, atol=1e-4)
    assert np.allclose(together, reranker.score(QUESTION, TEXTS[::-1])[::-1], atol=1e-4)


def test_the_question_matters(reranker: Reranker) -> None:
    """It is read together with the text."""
    assert not np.allclose(reranker.score("the price", TEXTS[:2]), reranker.score("a refund", TEXTS[:2]))


def test_a_model_says_what_it_is(reranker: Reranker) -> None:
    """For the trace."""
    assert reranker.name


def test_scores_are_logits_not_shares(tmp_path: Path) -> None:
    """No function is put on top, whatever the model's own configuration says."""
    model = opened(write_tiny_cross_encoder(tmp_path / "tiny", seed=3), tmp_path / "cache")

    scores = model.score(QUESTION, TEXTS)

    assert scores.min() < 0 or scores.max() > 1


def test_a_model_with_two_scores_is_refused(tmp_path: Path) -> None:
    """Which of them would order the passages?"""
    with pytest.raises(RerankerUnavailable, match="2 scores"):
        opened(write_tiny_cross_encoder(tmp_path / "tiny", labels=2), tmp_path / "cache")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """A folder without one, and no folder."""
    with pytest.raises(ModelNotFound):
        opened(tmp_path / "nothing", tmp_path / "cache")
