"""`sitewise ask`: a briefing, as a person or a machine wants to read it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from pipeline.cli.output import moment, out, print_json, print_table, say, styled
from pipeline.cli.session import opened, opened_with_store
from pipeline.errors import BriefingNotFound

if TYPE_CHECKING:
    from pipeline.model import Briefing, FiredScenario, Passage
    from pipeline.retrieval.follow_up import Turn

WIDTH = 96
"""Columns of running text at most: longer lines are hard to read."""


def ask(
    question: Annotated[str, typer.Argument(help="What a customer asks.", show_default=False)],
    *,
    before: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="What was said before, oldest first, the customer and the agent in turn; repeatable."
        ),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Where the customer writes, such as web or email.")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A segment the customer is in; repeatable.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="The customer's language [default: told from the text].")] = None,
    under: Annotated[str | None, typer.Option(help="Only pages whose URL begins so.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Passages at most [default: 8].", show_default=False)] = None,
    why: Annotated[bool, typer.Option("--why", help="Show why each scenario and passage is in, or is not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the briefing as JSON.")] = False,
) -> None:
    """Show what an AI agent is told for a question.

    How to behave, the scenarios that match, and passages with their sources.
    """
    from pipeline.model import SearchFilter  # noqa: PLC0415 - as below
    from pipeline.services.answers import Question  # noqa: PLC0415 - the model's libraries, which --help can do without

    asked = Question(
        message=question,
        top_k=top_k,
        where=SearchFilter(url_prefix=under),
        channel=channel,
        segments=tuple(segment or ()),
        history=conversation(before or ()),
        language=language,
        trace=why,
    )
    with opened_with_store() as (services, scope):
        briefing = services.answers.brief(asked, scope=scope)
    present(briefing, why=why, as_json=as_json)


def briefing(
    briefing_id: Annotated[str, typer.Argument(metavar="ID", help="As `ask` told it.", show_default=False)],
    *,
    why: Annotated[bool, typer.Option("--why", help="Show why each scenario and passage was in, or was not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the briefing as JSON, with its trace.")] = False,
) -> None:
    """Show a briefing again as it was given.

    Whatever became of its pages since.
    """
    with opened() as (services, scope):
        stored = services.briefings.get(id_of(briefing_id), scope=scope)
    if as_json:
        print_json(stored)
        return
    say(f"{moment(stored.asked_at)}, kept until {moment(stored.kept_until)}: {stored.message}")
    present(stored.briefing, why=why, as_json=False)


def id_of(text: str) -> UUID:
    """The id that was typed.

    Raises:
        BriefingNotFound: If it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise BriefingNotFound(briefing=text) from None


def conversation(before: Sequence[str]) -> tuple[Turn, ...]:
    """Turns of a conversation that ends with the agent: who said the last was the agent, and so on back."""
    from pipeline.retrieval.follow_up import Role, Turn  # noqa: PLC0415 - numpy, which --help can do without

    roles = (Role.ASSISTANT, Role.USER)
    return tuple(Turn(roles[(len(before) - 1 - place) % 2], text) for place, text in enumerate(before))


def present(briefing: Briefing, *, why: bool, as_json: bool) -> None:
    """Print a briefing for whom it is asked."""
    if as_json:
        print_json(briefing)
        return
    show(briefing)
    if why and briefing.trace is not None:
        show_trace(briefing.trace)
        say(f"sitewise briefing {briefing.id} shows it again.")


def show_trace(trace: Mapping[str, Any]) -> None:
    """Print why every scenario and every candidate is in, or is not: a table each."""
    out.print("")
    print_table(
        ("scenario", "in", "why", "score", "needs", "priority"),
        [
            (row["title"], _mark(row), _words(row), row.get("score"), row.get("threshold"), row.get("priority"))
            for row in trace["training"]
        ],
        empty="No scenarios.",
    )
    out.print("")
    print_table(
        ("page", "in", "why", "score", "meaning", "words"),
        [
            (
                " ".join(filter(None, (row["url"], row["title"] and f"({row['title']})"))),
                _mark(row),
                _words(row),
                row["score"],
                _ranked(row, "dense"),
                _ranked(row, "sparse"),
            )
            for row in trace["knowledge"]
        ],
        empty="Nothing on the website came near.",
    )
    answerable = trace["answerable"]
    nearest = f"{answerable['score']:.2f}" if trace["knowledge"] else "nothing to answer from"
    say(f"answerable: {nearest}, needs {answerable['threshold']:.2f}")


def _mark(row: Mapping[str, Any]) -> str:
    return "in" if row["in"] else ""


def _words(row: Mapping[str, Any]) -> str:
    """A reason as words, with a warning beside it."""
    return str(row["why"]).replace("_", " ") + (", speaks to an assistant" if row.get("instruction_like") else "")


def _ranked(row: Mapping[str, Any], half: str) -> str:
    """A place in one half of the search and the score there."""
    rank = row[f"{half}_rank"]
    return "" if rank is None else f"{rank}. {row[f'{half}_score']:.2f}"


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
        say("Nothing that is known matches; `sitewise status` shows which websites were read.")
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
    starts = range(len(lines) - count + 1)
    nearness = _nearness(lines, _stems(near))
    start = max(starts, key=lambda at: (nearness(lines[at : at + count]), -at))
    chosen = list(lines[start : start + count])
    if start + count < len(lines):
        chosen[-1] += " …"
    return chosen


def _nearness(lines: Sequence[str], words: set[str]) -> Callable[[Sequence[str]], float]:
    """How near some of the lines are to a question: by its words in them, those the most that few lines have.

    A figure beside such a word counts as one that a single line has, because most questions want one.
    """
    shared = [words & _stems(line) for line in lines]
    weight = {word: 1 / sum(word in found for found in shared) for word in set().union(*shared)}

    def nearness(part: Sequence[str]) -> float:
        found = [words & _stems(line) for line in part]
        tells = any(any(map(str.isdigit, line)) and here for line, here in zip(part, found, strict=True))
        return sum(weight[word] for word in set().union(*found)) + tells

    return nearness


def _stems(text: str) -> set[str]:
    """Words of four letters and more, and numbers, by their beginnings."""
    return {word[:5] for word in re.findall(r"\w+", text.lower()) if len(word) > 3 or word.isdigit()}  # noqa: PLR2004 - said above
