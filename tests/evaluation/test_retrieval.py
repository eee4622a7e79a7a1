"""The evaluation of answers measures a set of questions, or says that it could not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.evaluation import retrieval
from tests.evaluation.datasets import VARIABLE

PAGES = [
    {"id": "fees", "url": "https://help.example/fees/", "title": "Fees", "text": "A transfer costs 2 euros."},
    {"id": "cards", "url": "https://help.example/cards/", "title": "Cards", "text": "Block a lost card in the app."},
    {"id": "loans", "url": "https://help.example/loans/", "title": "Loans", "text": "Loans run for five years."},
]
QUESTIONS = [
    {"id": "q1", "text": "How much does a transfer cost?"},
    {"id": "q2", "text": "I lost my card, how do I block it?"},
    {"id": "q3", "text": "A question that no page answers"},
]
ANSWERS = "query-id\tcorpus-id\tscore\nq1\tfees\t1\nq2\tcards\t1\n"


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small set, named by the environment."""
    for part, name, rows in (("shared", "corpus", PAGES), ("dev", "queries", QUESTIONS)):
        folder = tmp_path / "eval" / "small" / part
        folder.mkdir(parents=True)
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "eval" / "small" / "dev" / "qrels.tsv").write_text(ANSWERS, encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_each_system_is_scored_on_the_questions_that_have_answers(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Easy questions score 1 by words, by meaning and by both; the one without an answer does not count."""
    figures = sets / "figures.json"

    ended = retrieval.main(["--sets", "small", "--baselines-only", "--json", str(figures)])

    systems = json.loads(figures.read_text(encoding="utf-8"))["small"]["systems"]
    assert ended == 0
    assert {name: system["ndcg@10"]["values"] for name, system in systems.items()} == {
        "bm25, clean text": [1, 1],
        "model, clean text": [1, 1],
        "both, clean text": [1, 1],
    }
    assert "small: 3 pages, 2 questions" in capsys.readouterr().out


@pytest.mark.parametrize(("reached", "status"), [(0.9, 0), (0.5, 1)])
def test_a_floor_holds(reached: float, status: int) -> None:
    """A set whose answers fell below its floor fails the evaluation."""
    score = retrieval.Score("sitewise", {"ndcg@10": [reached] * 20})

    assert retrieval.judge("vahelp", score) == status


def test_without_question_sets_nothing_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is not 0, and the closing line names what is missing."""
    monkeypatch.delenv(VARIABLE, raising=False)

    ended = retrieval.main([])

    assert ended == 2
    assert VARIABLE in capsys.readouterr().err
