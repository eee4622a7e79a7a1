"""Settings: what the environment may say, and what is refused with a clear word."""

from __future__ import annotations

import traceback
from datetime import timedelta

import pytest

from pipeline.errors import InvalidSettings
from pipeline.settings import read_settings

HIDDEN = "hunter2"


def refusal() -> InvalidSettings:
    """How these settings are refused."""
    with pytest.raises(InvalidSettings) as refused:
        read_settings()
    return refused.value


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("5", timedelta(seconds=5)),
        ("0.5", timedelta(milliseconds=500)),
        (" 5 ", timedelta(seconds=5)),
        ("PT1M30S", timedelta(seconds=90)),
    ],
)
def test_a_time_is_a_number_of_seconds_or_an_iso_duration(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: timedelta
) -> None:
    """Nobody has to know a notation to set five seconds."""
    monkeypatch.setenv("SITEWISE_WORK__TICK", given)

    assert read_settings().work.tick == meant


@pytest.mark.parametrize("given", ["5,0.5,PT1M", "5, 0.5, 60", "PT5S,PT0.5S,60,"])
def test_times_may_stand_in_a_list(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A comma-separated list holds times in the same spellings."""
    monkeypatch.setenv("SITEWISE_WORK__HINT_DELAYS", given)

    delays = read_settings().work.hint_delays

    assert delays == (timedelta(seconds=5), timedelta(milliseconds=500), timedelta(minutes=1))


@pytest.mark.parametrize("given", ["soon", "-1", "0", "nan", "inf", "1e300", ""])
def test_a_time_that_cannot_be_waited_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A tick of no time, of all time, or in words is named and refused."""
    monkeypatch.setenv("SITEWISE_WORK__TICK", given)

    assert refusal().facts["setting"] == "SITEWISE_WORK__TICK"


@pytest.mark.parametrize("given", ["", ",", "5,soon", "5,-1", "0"])
def test_delays_that_cannot_be_waited_are_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """So is a list with such a time in it, or with none at all."""
    monkeypatch.setenv("SITEWISE_WORK__HINT_DELAYS", given)

    assert refusal().facts["setting"] == "SITEWISE_WORK__HINT_DELAYS"


@pytest.mark.parametrize(
    "name", ["SITEWISE_WORK__TIK", "SITEWISE_CRAWL__USERAGENT", "SITEWISE_DATABASE__PASSWORD", "SITEWISE_EMBED__TICK"]
)
def test_a_setting_no_group_knows_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A typo does not pass in silence."""
    monkeypatch.setenv(name, HIDDEN)

    error = refusal()

    assert error.facts == {"setting": name, "problem": "there is no such setting"}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("SITEWISE_DATABASE", f"postgresql://sitewise:{HIDDEN}@host/sitewise"),
        ("SITEWISE_DATABASE", f'{{"url": "postgresql://sitewise:{HIDDEN}@host", "pool_size": "many"}}'),
        ("SITEWISE_DATABASE", f'{{"url": ["{HIDDEN}"]}}'),
        ("SITEWISE_UPSERT__QDRANT_API_KEY__KEY", HIDDEN),
        ("SITEWISE_DATABASE__PASSWORD", HIDDEN),
        ("SITEWISE_WORK__TICK", HIDDEN),
    ],
)
def test_no_refusal_shows_what_was_given(monkeypatch: pytest.MonkeyPatch, name: str, given: str) -> None:
    """A value may hold a password: neither the message nor the trace repeats it."""
    monkeypatch.setenv(name, given)

    error = refusal()

    assert HIDDEN not in str(error)
    assert HIDDEN not in "".join(traceback.format_exception(error))


def test_a_secret_is_not_shown_with_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings may be printed; the passwords in them are not."""
    monkeypatch.setenv("SITEWISE_DATABASE__URL", f"postgresql://sitewise:{HIDDEN}@host/sitewise")
    monkeypatch.setenv("SITEWISE_BROKER__URL", f"redis://:{HIDDEN}@host")
    monkeypatch.setenv("SITEWISE_UPSERT__QDRANT_API_KEY", HIDDEN)

    settings = read_settings()

    assert HIDDEN not in repr(settings)
    assert HIDDEN not in settings.model_dump_json()


def test_who_we_are_has_one_name_and_the_contact_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is fixed: a website that forbids it must not meet it under another."""
    by_default = read_settings().crawl.user_agent
    monkeypatch.setenv("SITEWISE_CRAWL__CONTACT", "mailto:web@example.com")

    assert by_default == "SitewiseBot/1.0 (+https://sitewise.example/bot)"
    assert read_settings().crawl.user_agent == "SitewiseBot/1.0 (+mailto:web@example.com)"


@pytest.mark.parametrize(
    "given", ["us", "https://a.example/ (really)", "https://a.example/\x07", "https://ä.example/", "x" * 300]
)
def test_a_contact_nobody_can_reach_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """It stands in a header of every request."""
    monkeypatch.setenv("SITEWISE_CRAWL__CONTACT", given)

    assert refusal().facts["setting"] == "SITEWISE_CRAWL__CONTACT"
