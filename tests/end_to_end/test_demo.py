"""The demo: what a newcomer sees first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy import demo

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Shop

SAMPLE = Path(demo.__file__).parent / "sample"


def test_the_demo_crawls_teaches_and_asks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A crawl, five questions with passages and URLs, both kinds of scenario, what to try next; taught once."""
    monkeypatch.setenv("SITEWISE_CRAWL__ALLOWED_ADDRESSES", "127.0.0.0/8")
    questions = [asked["question"] for asked in json.loads((SAMPLE / "questions.json").read_text())]
    shown = demo.Demo(
        url=shop.site.url,
        data_dir=shop.sitewise.data_dir,
        questions=questions,
        training=json.loads((SAMPLE / "training.json").read_text()),
        next_steps=("sitewise ask 'More?'",),
    )

    status = demo.run(shown)
    demo.ask(shown)
    out = capfd.readouterr().out
    listed = shop.sitewise.run("training", "list", "--json").json()["items"]

    assert status == 0
    assert "Completed in" in out
    assert all(question in out for question in questions)
    assert shop.site.address("/de/versand") in out
    assert "always Tone of voice" in out
    assert "now    The customer wants to return something" in out
    assert "sitewise ask 'More?'" in out
    assert "The same over HTTP" in out
    assert "answerable: true" in out
    assert sum(scenario["title"] == "Tone of voice" for scenario in listed) == 1


def test_another_site_has_a_folder_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """What was learned of one site is not mixed with another, and a wrong address ends as the crawl says."""
    first, second = demo.other_site("https://shop.example/a"), demo.other_site("https://docs.example/")

    status = demo.main(["ftp://shop.example/"])

    assert first.data_dir != second.data_dir
    assert status == 2
    assert "https://www.example.com/" in capfd.readouterr().err


def test_the_sample_site_takes_the_first_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the usual port is taken the next one is used, with a folder of its own."""
    monkeypatch.setenv("SITEWISE_CRAWL__ALLOWED_ADDRESSES", "127.0.0.0/8")
    with demo.sample_site() as first, demo.sample_site() as second:
        assert first.url != second.url
        assert first.data_dir != second.data_dir
        assert len(first.questions) == 5
