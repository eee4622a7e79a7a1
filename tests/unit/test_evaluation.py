"""How an answer is scored, what a file of golden questions may say, and what a person sees of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import typer

from pipeline.cli import evaluating
from pipeline.cli.session import chosen
from pipeline.errors import InvalidGoldenQuestion, QuestionNotFound
from pipeline.model import Briefing, FiredScenario, Passage
from pipeline.retrieval.scoring import Expected, score
from pipeline.services.evaluation import Point, Report
from pipeline.services.evaluation_page import render
from pipeline.services.golden_files import NewGolden, check, read
from pipeline.services.orgs import DEFAULT_ORG
from tests.fakes.clock import SetClock
from tests.fakes.knowledge import Answer, Knowledge, at

SITE: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody.</p>",
    "/returns": "<p>A lamp can be returned within thirty days of delivery, unused.</p>",
}
NOW = SetClock().now


def briefing(*found: tuple[str, str], fired: str = "", answerable: bool = True) -> Briefing:
    """A briefing with these pages and texts, best first."""
    passages = tuple(
        Passage(
            id=uuid4(),
            text=text,
            title=url,
            heading_path=("Help",),
            url=url,
            language="en",
            score=1.0,
            page_version=1,
            fetched_at=NOW,
            changed_at=None,
            trust="website",
        )
        for url, text in found
    )
    scenarios = (FiredScenario(uuid4(), fired, "say so", 1, 0.9, 0.5),) if fired else ()
    return Briefing(uuid4(), answerable, "", (), scenarios, passages, "")


def test_a_page_in_second_place_scores_less_than_in_first() -> None:
    """Its place counts by its best passage, however its address is spelled."""
    found = briefing((at("/a"), "one"), (at("/a"), "two"), (at("/b"), "three"))

    first = score(Expected(urls=(at("/a") + "#part",)), found)
    second = score(Expected(urls=(at("/b"),)), found)

    assert (first.score, first.reciprocal_rank, first.hit) == (1.0, 1.0, 1.0)
    assert (second.score, second.reciprocal_rank) == (0.6309, 0.5)
    assert score(Expected(urls=(at("/c"),)), found).missing == (at("/c"),)


def test_words_are_found_however_they_are_laid_out() -> None:
    """Case and white space are no difference; headings count."""
    found = briefing((at("/a"), "Within\n  THIRTY days"))

    assert score(Expected(texts=("within thirty days", "help")), found).score == pytest.approx(1.0)
    assert score(Expected(texts=("forty days",)), found).score == 0.0


def test_a_scenario_and_a_refusal_count_as_much_as_what_was_found() -> None:
    """The score is the mean of all that is asked of an answer."""
    found = briefing((at("/a"), "one"), fired="Refunds", answerable=True)

    assert score(Expected(scenario="refunds"), found).score == 1.0
    assert score(Expected(urls=(at("/a"),), scenario="Other"), found).score == 0.5
    assert score(Expected(no_answer=True), found).score == 0.0
    assert score(Expected(no_answer=True), briefing(answerable=False)).score == 1.0


def test_a_line_of_json_is_a_question() -> None:
    """As many tools write lists: one object a line, empty lines apart."""
    lines = '{"question": "How?", "urls": ["https://a.example/"]}\n\n{"question": "X", "no_answer": true}\n'

    golden = read(lines, "yaml")

    assert [(one.message, one.expected.no_answer) for one in golden] == [("How?", False), ("X", True)]


def test_a_file_says_the_same_in_both_formats() -> None:
    """YAML lists and a spreadsheet's lines mean the same; the singular is understood."""
    as_yaml = read(
        "- question: How?\n  urls: [https://a.example/, https://b.example/]\n- {question: X, no_answer: yes}", "yaml"
    )
    as_csv = read('question;url;no_answer\nHow?;"https://a.example/\nhttps://b.example/";\nX;;yes\n', "csv")

    assert as_yaml == as_csv
    assert as_yaml[0].expected.urls == ("https://a.example/", "https://b.example/")
    assert as_yaml[1].expected.no_answer


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {question: How?}", "nothing is expected"),
        ("- {question: '', no_answer: yes}", "field: question"),
        ("- {question: How?, urls: [nowhere]}", "no address"),
        ("- {question: How?, url: https://a.example/, no_answer: true}", "field: no_answer"),
        ("- {question: How?, page: x}", "no such field"),
        ("- {question: How?, no_answer: perhaps}", "neither yes nor no"),
        ("- {question: How?, texts: [1]}", "list of texts"),
        ("question: How?", "has to be a list"),
        ("- [", "not YAML"),
        ('{"question": "x"}\n{"question"', "line 2 is not JSON"),
        ("- just text", "fields and values"),
    ],
)
def test_a_question_that_cannot_be_scored_is_refused(text: str, told: str) -> None:
    """The error names the place and what is wrong."""
    with pytest.raises(InvalidGoldenQuestion, match=told):
        read(text, "yaml")


@pytest.mark.parametrize("nothing", ["", "  "])
def test_a_scenario_without_a_title_is_none(nothing: str) -> None:
    """Nothing could fire that is called so: it costs no half of a score, and alone it is no expectation."""
    asked = NewGolden("How?", Expected(texts=("nine euros",), scenario=nothing))

    assert check(asked).expected.scenario is None
    with pytest.raises(InvalidGoldenQuestion, match="nothing is expected"):
        check(NewGolden("How?", Expected(scenario=nothing)))


def test_too_many_expectations_are_refused() -> None:
    """A question expects at most fifty pages."""
    with pytest.raises(InvalidGoldenQuestion, match="urls"):
        check(NewGolden("How?", Expected(urls=(at("/a"),) * 51)))


def test_the_page_shows_what_an_org_wrote_and_runs_none_of_it() -> None:
    """Everything is escaped, and the file names no other."""
    history = [Point(NOW, 1.0, is_accepted=True, crawl_id=None), Point(NOW, 0.2, is_accepted=False, crawl_id=uuid4())]
    told = Report(
        at=NOW, score=0.5, means={"ndcg": 0.5}, questions=(), now=0.5, then=1.0, since=NOW - timedelta(days=1)
    )

    text = render(told, history, org="<script>alert(1)</script>")

    assert "<script" not in text
    assert "held by the gate" in text
    assert "http" not in text
    assert "scored 1.00" in text


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Knowledge]:
    """A crawled site that the commands ask, without a model of its own."""
    knowledge = Knowledge(tmp_path)
    knowledge.crawl(SITE)
    chosen.data_dir, chosen.org = tmp_path, DEFAULT_ORG

    class Same:
        """The services that are open already."""

        def __enter__(self) -> tuple[object, object]:
            return knowledge.services, knowledge.org

        def __exit__(self, *error: object) -> None:
            """Leave them open."""

    monkeypatch.setattr(evaluating, "opened_with_store", Same)
    yield knowledge
    chosen.data_dir = None
    knowledge.services.close()


def test_stored_questions_are_asked_and_compared(
    shop: Knowledge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second time says what they scored the first time; a page with a plot is written."""
    file = tmp_path / "golden.yaml"
    file.write_text(f"- {{question: When can a lamp be returned?, url: {at('/returns')}}}\n")
    evaluating.import_file(file)
    evaluating.run()
    shop.clock.forward(hours=1)
    evaluating.add("Do you sell elephants?", no_answer=True)
    evaluating.run(html=tmp_path / "page.html", as_json=True)

    shown = capsys.readouterr().out
    told = json.loads(shown[shown.index("{\n") :])
    assert "1 were added" in shown
    assert "score 1.00 over 1 questions" in shown
    assert (told["then"], told["now"], len(told["questions"])) == (1.0, 1.0, 2)
    assert "<svg" in (tmp_path / "page.html").read_text()
    with shop.services.database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM briefings").scalar() == 0


def test_a_file_is_asked_without_being_stored(
    shop: Knowledge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A score below what is asked for is an exit status; nothing is left behind."""
    file = tmp_path / "golden.csv"
    file.write_text("question,url\nWhen can a lamp be returned?,https://other.example/\n")

    with pytest.raises(typer.Exit) as ended:
        evaluating.run(file, least=0.5)

    shown = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert "not found: https://other.example/" in shown.out
    assert shop.services.evaluation.listing(scope=shop.org) == []
    assert shop.services.evaluation.history(scope=shop.org) == []


def test_questions_are_listed_replaced_and_removed(shop: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    """The same question is one row, whatever is expected of it; importing anew may remove the rest."""
    service = shop.services.evaluation
    first = service.add(NewGolden("Returns?", Expected(urls=(at("/returns"),))), scope=shop.org)
    again = service.add(NewGolden("Returns?", Expected(texts=("thirty days",))), scope=shop.org)
    other = NewGolden("Chairs?", Expected(scenario="Chairs"))

    told = service.import_all([other], scope=shop.org, replaces=True)
    evaluating.list_questions()
    (left,) = service.listing(scope=shop.org)
    evaluating.remove(left.id)

    assert again.id == first.id
    assert (told.added, told.changed, told.removed) == (1, 0, 1)
    assert "scenario Chairs" in capsys.readouterr().out
    with pytest.raises(QuestionNotFound):
        service.remove(left.id, scope=shop.org)
