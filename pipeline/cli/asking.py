"""`sitewise ask`: a briefing, as a person or a machine wants to read it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import out, print_json, say, styled
from pipeline.cli.session import opened_with_store

if TYPE_CHECKING:
    from pipeline.model import Briefing, FiredScenario, Passage

WIDTH = 96
"""Columns of running text at most: longer lines are hard to read."""


def ask(
    question: Annotated[str, typer.Argument(help="What a customer asks.", show_default=False)],
    *,
    top_k: Annotated[int | None, typer.Option(help="Passages at most [default: 8].", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the briefing as JSON.")] = False,
) -> None:
    """Show what an AI agent is told for a question.

    How to behave, the scenarios that match, and passages with their sources.
    """
    from pipeline.services.answers import Question  # noqa: PLC0415 - the model's libraries, which --help can do without

    with opened_with_store() as (services, scope):
        briefing = services.answers.brief(Question(message=question, top_k=top_k), scope=scope)
    if as_json:
        print_json(briefing)
    else:
        show(briefing)


def show(briefing: Briefing) -> None:
    """Print a briefing for a person, whole."""
    for behavior in briefing.behaviors:
        show_instruction("always", behavior.title, behavior.content)
    for scenario in briefing.scenarios:
        show_instruction("now", f"{scenario.title} {matched(scenario)}", scenario.content)
    for number, passage in enumerate(briefing.passages, start=1):
        out.print("")
        show_passage(number, passage)
    show_doubt(briefing)


def show_excerpt(briefing: Briefing, question: str, *, passages: int, lines: int) -> None:
    """Print the best of a briefing: titles of what says how to behave, and the lines nearest to the question."""
    for behavior in briefing.behaviors:
        show_instruction("always", behavior.title, behavior.content, lines=1)
    for scenario in briefing.scenarios:
        show_instruction("now", f"{scenario.title} {matched(scenario)}", scenario.content, lines=lines)
    for number, passage in enumerate(briefing.passages[:passages], start=1):
        show_passage(number, passage, near=question, lines=lines)
    show_doubt(briefing)


def show_doubt(briefing: Briefing) -> None:
    """Say so when the website may not answer."""
    if not briefing.passages:
        say("Nothing on the website matches.")
    elif not briefing.answerable:
        say("No passage comes close: the website may not answer this.")


def show_instruction(label: str, title: str, content: str, *, lines: int | None = None) -> None:
    """Print how the agent is told to behave."""
    color = "bold magenta" if label == "always" else "bold yellow"
    out.print(styled((f"{label:<7}", color), (title, "bold")))
    _show_text(content, indent=7, lines=lines)


def show_passage(number: int, passage: Passage, *, near: str = "", lines: int | None = None) -> None:
    """Print a passage under its title, headings and URL: whole, or the lines that share most words with `near`."""
    path = " > ".join(passage.heading_path) or passage.title
    title = f"{path} ({passage.title})" if passage.title not in path else path
    out.print(styled((f"{number:>2}.  ", "bold cyan"), (title, "bold"), (f"  {passage.score:.2f}", "dim")))
    out.print(styled((f"     {passage.url}", "blue")))
    _show_text(passage.text, indent=5, near=near, lines=lines)


def matched(scenario: FiredScenario) -> str:
    """How well a scenario matched, beside what it needs."""
    return f"({scenario.score:.2f}, needs {scenario.threshold:.2f})"


def _show_text(text: str, *, indent: int, near: str = "", lines: int | None = None) -> None:
    width = min(out.width, WIDTH) - indent
    for line in excerpt(wrapped(text, width - 2), near, lines):
        out.print(styled(f"{' ' * indent}{line}"))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many columns; tables and lists keep theirs, empty ones go."""
    lines = (line for line in text.splitlines() if line.strip(" |-"))
    return [part for line in lines for part in textwrap.wrap(line, width)]


def excerpt(lines: Sequence[str], near: str, count: int | None) -> list[str]:
    """So many lines in a row, those nearest to `near`; where more follow, an ellipsis."""
    if count is None or len(lines) <= count:
        return list(lines)
    words = _stems(near)
    starts = range(len(lines) - count + 1)
    start = max(starts, key=lambda at: (_nearness(" ".join(lines[at : at + count]), words), -at)) if words else 0
    chosen = list(lines[start : start + count])
    if start + count < len(lines):
        chosen[-1] += " …"
    return chosen


def _nearness(text: str, words: set[str]) -> int:
    """Words shared with a question; a figure counts as one, because most questions want one."""
    return len(words & _stems(text)) + any(letter.isdigit() for letter in text)


def _stems(text: str) -> set[str]:
    """Words of four letters and more, and numbers, by their beginnings."""
    return {word[:5] for word in re.findall(r"\w+", text.lower()) if len(word) > 3 or word.isdigit()}  # noqa: PLR2004 - said above
