"""Settings handed on to children."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.owner.environment import environment_of
from pipeline.settings import Settings, read_settings


def test_a_child_reads_the_settings_of_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was set, by variable or by option, the child's settings are equal."""
    ours = read_settings(
        data_dir=tmp_path,
        crawl={"allowed_addresses": "127.0.0.0/8,::1/128", "allowed_ports": "80,8080", "lease": "PT1.5S"},
        work={"hint_delays": ["PT0.1S", "PT2S"], "tick": "PT0.2S"},
        broker={"url": "redis://user:secret@host/0"},
        embed={"query_prompt": "question: "},
    )
    for name, value in environment_of(ours, inherited={}).items():
        monkeypatch.setenv(name, value)

    assert read_settings() == ours


def test_an_inherited_variable_does_not_outvote_the_parent(tmp_path: Path) -> None:
    """An option above a variable counts in the child too, even where it says the default."""
    ours = Settings(data_dir=tmp_path)
    inherited = {"SITEWISE_LOG_LEVEL": "debug", "SITEWISE_BROKER__URL": "redis://host", "PATH": "/bin"}

    environment = environment_of(ours, inherited=inherited)

    assert environment["SITEWISE_LOG_LEVEL"] == ours.log_level
    assert "SITEWISE_BROKER__URL" not in environment
    assert environment["PATH"] == "/bin"


def test_a_relative_directory_means_the_same_to_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children may work elsewhere."""
    monkeypatch.chdir(tmp_path)

    environment = environment_of(Settings(data_dir=Path("here")), inherited={})

    assert environment["SITEWISE_DATA_DIR"] == str(tmp_path.resolve() / "here")
