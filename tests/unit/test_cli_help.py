"""What `--help` says of the commands there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pipeline.cli.app import app


def groups() -> Iterator[tuple[str, ...]]:
    """The command line itself, and each command that has commands of its own."""
    yield ()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined] # the app is a group
        if hasattr(command, "commands"):
            yield (name,)


def help_of(words: tuple[str, ...]) -> str:
    """As it is shown."""
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert shown.exit_code == 0
    return shown.output


@pytest.mark.parametrize("words", tuple(groups()), ids=lambda words: " ".join(("sitewise", *words)))
def test_every_command_is_listed_with_a_whole_sentence(words: tuple[str, ...]) -> None:
    """Nothing is cut where a list of commands has no room."""
    listed = help_of(words).partition("Commands:")[2]

    assert listed
    assert [line for line in listed.splitlines() if line.endswith("...")] == []
