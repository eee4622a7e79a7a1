"""What the command line shows: a crawl under way and ended, a briefing, the settings."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.cli import asking, crawling, watching
from pipeline.cli.output import print_json
from pipeline.cli.pace import Pace
from pipeline.cli.settings_table import rows
from pipeline.cli.watching import Watched
from pipeline.errors import BriefingNotFound
from pipeline.model import Behavior, Briefing, FiredScenario, Passage
from pipeline.services.crawls import Failure
from pipeline.services.reasons import Why
from pipeline.settings import read_settings
from tests.fakes.clock import SetClock
from tests.fakes.jobs import job


def briefing(*, answerable: bool = True, passages: int = 2) -> Briefing:
    """A briefing of one behaviour, one scenario and some passages."""
    found = tuple(
        Passage(
            id=UUID(int=number),
            text="Returns are free.\n\n| Within | Costs |\n| --- | --- |\n| 45 days | nothing |\n\nWrite to us.",
            title="Returns",
            heading_path=("Returns", "Costs"),
            url=f"https://shop.example/returns-{number}",
            language="en",
            score=0.9,
            page_version=1,
            fetched_at=SetClock().now,
            trust="website",
        )
        for number in range(passages)
    )
    return Briefing(
        id=UUID(int=9),
        answerable=answerable,
        profile="",
        behaviors=(Behavior(UUID(int=1), "Tone", "Be brief.", 1),),
        scenarios=(FiredScenario(UUID(int=2), "Refund", "Ask for the order number.", 1, 0.71, 0.5),),
        passages=found,
        prompt="",
    )


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ({"started_at": None}, "starting"),
        ({"total_pages": 1}, "opening"),
        ({"fetched_pages": 3, "waiting_pages": 2, "pending_pages": 3}, "fetching"),
        ({"fetched_pages": 3, "pending_pages": 3}, "indexing"),
        ({"fetched_pages": 3, "waiting_pages": 2, "error_message": "paused until noon: it asked for it"}, "paused"),
        ({"fetched_pages": 3, "status": "completed"}, "completed"),
    ],
)
def test_a_phase_is_a_word(counts: dict[str, object], word: str) -> None:
    """What a crawl does now is said in a word."""
    said = watching.phase(job(**counts))

    assert said == word


def test_a_crawl_that_does_not_move_is_told_of(tmp_path: Path) -> None:
    """Where this directory's own workers are starting, nobody is told to start others."""
    logs = tmp_path / "logs"
    alone = watching.stalled(job(started_at=None), logs)
    logs.mkdir()
    starting = watching.stalled(job(started_at=None), logs)
    begun = watching.stalled(job(fetched_pages=3), logs)

    assert "`sitewise up` starts one" in alone[0]
    assert len(alone) == 1
    assert "may need a moment more" in starting[0]
    assert "Nothing has moved" in begun[0]
    assert str(logs) in starting[1] == begun[1]


def test_a_terminal_sees_live_lines(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """On a terminal, the counts, the pace and the URL at hand change in place, cut to its width."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    pace = Pace(page_limit=100)
    now = job(total_pages=40, fetched_pages=20, new_pages=18, refused_pages=2, waiting_pages=20)
    pace.look(job(total_pages=40), 0.0)
    pace.look(job(total_pages=40, fetched_pages=10, new_pages=10, waiting_pages=30), 1.0)
    pace.look(now, 2.0)

    with watching.live() as show:
        show(now, pace)
    shown = capfd.readouterr().err

    assert "40 found · 20 fetched · 18 kept · 0 unchanged · 2 refused" in shown
    assert "10.0 pages/s" in shown
    assert "about 2 s left" in shown


def test_a_pipe_sees_a_line_when_something_changed(capfd: pytest.CaptureFixture[str]) -> None:
    """The same state is not told twice, and the end is told at once."""
    pace = Pace(page_limit=100)

    with watching.plain() as show:
        for _ in range(3):
            show(job(total_pages=4, fetched_pages=2), pace)
        show(job(total_pages=4, fetched_pages=4, status="completed"), pace)
    lines = capfd.readouterr().err.splitlines()

    assert len(lines) == 2
    assert lines[1].startswith("completed: 4 found · 4 fetched")


def test_an_ended_crawl_is_told_in_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    """Counts, reasons, failures, and what to do about a limit."""
    ended = job(
        status="completed",
        total_pages=9,
        fetched_pages=5,
        new_pages=3,
        failed_pages=1,
        refused_pages=4,
        removed_pages=1,
        limit_reached=True,
        refusals={"robots": 4, "http_error": 1},
        failures=(Failure("https://shop.example/old", "http_error", 500, None),),
    )

    crawling.report(Watched(ended, seconds=2.0, pages_per_second=5.0), as_json=False)
    out, err = capfd.readouterr()

    assert "9 found, 5 fetched at 5.0 pages/s" in out
    assert "4 refused, 1 failed: 1 http_error, 4 robots" in out
    assert "1 removed" in out
    assert "https://shop.example/old" in out
    assert "--page-limit" in err


def test_an_empty_crawl_tells_of_its_start_page(capfd: pytest.CaptureFixture[str]) -> None:
    """That is where it went wrong, as when a website has moved."""
    start = Why("https://shop.example/", False, "off_site", "", detail="redirects to https://new.example/")  # noqa: FBT003 - a field

    crawling.report(Watched(job(status="completed"), seconds=2.0, pages_per_second=None), start, as_json=False)

    assert "Nothing was kept. https://shop.example/: redirects to https://new.example/." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"status": "completed", "new_pages": 1}, 0),
        ({"status": "completed", "unchanged_pages": 1}, 0),
        ({"status": "completed"}, 3),
        ({"status": "failed", "new_pages": 1}, 1),
        ({"status": "cancelled"}, 1),
    ],
)
def test_the_exit_status_says_how_it_went(counts: dict[str, object], status: int) -> None:
    """0 done, 3 nothing kept, 1 failure."""
    assert crawling.exit_status(job(**counts)) == status


def test_a_briefing_is_shown_with_its_sources(capfd: pytest.CaptureFixture[str]) -> None:
    """Behaviour, scenarios, and every passage with title, headings and URL."""
    asking.show(briefing())
    out = capfd.readouterr().out

    assert "always Tone" in out
    assert "Refund (0.71, needs 0.50)" in out
    assert "Returns > Costs" in out
    assert "https://shop.example/returns-1" in out
    assert "| 45 days | nothing |" in out


def test_an_excerpt_is_where_the_rare_word_of_a_question_stands() -> None:
    """A code that one line has says more than words that many lines have."""
    lines = ["The light blinks red.", "Red and blinks again.", "It blinks red.", "E-30: the mast.", "E-31: the clock."]

    chosen = asking.excerpt(lines, "The light blinks red and says E-31", 1)

    assert chosen == ["E-31: the clock."]


def test_an_excerpt_is_taken_where_the_question_points(capfd: pytest.CaptureFixture[str]) -> None:
    """Of a long passage, the lines that share words with the question, and a figure, are shown."""
    asking.show_excerpt(briefing(), "How many days do I have?", passages=1, lines=1)
    out = capfd.readouterr().out

    assert "45 days" in out
    assert "Write to us" not in out
    assert "returns-1" not in out


@pytest.mark.parametrize(
    ("given", "said"), [(briefing(answerable=False), "No passage comes close"), (briefing(passages=0), "Nothing")]
)
def test_doubt_is_said(given: Briefing, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Where the website may not answer, the reader is told."""
    asking.show(given)

    assert said in capfd.readouterr().err


def test_settings_tell_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting has a value, a source and a unit; secrets show only that they are set."""
    monkeypatch.setenv("SITEWISE_DATABASE__URL", "postgresql://me:secret@db/x")
    monkeypatch.setenv("SITEWISE_CRAWL__DELAY", "2")

    listed = {row.name: row for row in rows(read_settings(data_dir="elsewhere"))}

    assert listed["SITEWISE_DATABASE__URL"].value == "(set)"
    assert listed["SITEWISE_DATABASE__URL"].source == "environment"
    assert (listed["SITEWISE_CRAWL__DELAY"].value, listed["SITEWISE_CRAWL__DELAY"].unit) == ("2", "seconds")
    assert listed["SITEWISE_DATA_DIR"].source == "command line"
    assert listed["SITEWISE_CRAWL__BODY_LIMIT"].unit == "bytes"
    assert listed["SITEWISE_CRAWL__DEPTH_LIMIT"].source == "default"


def test_json_holds_what_python_has(capfd: pytest.CaptureFixture[str]) -> None:
    """Ids, moments and values nested in others become JSON."""
    print_json(briefing())
    printed = json.loads(capfd.readouterr().out)

    assert printed["passages"][0]["id"] == str(UUID(int=0))
    assert printed["scenarios"][0]["threshold"] == 0.5


def test_a_trace_is_shown_as_two_tables(capfd: pytest.CaptureFixture[str]) -> None:
    """Every scenario and every candidate, with its reason in words and its places in both halves."""
    scenario = {"title": "Refund", "in": False, "why": "below_threshold", "score": 0.4, "threshold": 0.5, "priority": 1}
    page = {
        "url": "https://shop.example/returns",
        "title": "Returns",
        "in": True,
        "why": "budget",
        "score": 0.9,
        "dense_rank": 1,
        "dense_score": 0.71,
        "sparse_rank": None,
        "sparse_score": None,
        "instruction_like": True,
    }

    asking.show_trace({"training": [scenario], "knowledge": [page], "answerable": {"score": 0.71, "threshold": 0.35}})
    out, err = capfd.readouterr()

    assert "below threshold" in out
    assert "budget, speaks to an assistant" in out
    assert "https://shop.example/returns (Returns)" in out
    assert "1. 0.71" in out
    assert "answerable: 0.71, needs 0.35" in err


def test_a_conversation_ends_with_the_agent() -> None:
    """Turns before a question alternate, told from the last."""
    assert [turn.role for turn in asking.conversation(("a", "b", "c"))] == ["assistant", "user", "assistant"]
    assert asking.conversation(()) == ()


def test_an_id_that_is_none_is_no_briefing() -> None:
    """It is not found, like any other that was never given."""
    with pytest.raises(BriefingNotFound):
        asking.id_of("latest")
