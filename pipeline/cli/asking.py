"""`sitewise ask`: a briefing, as a person or a machine wants to read it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from pipeline.cli.output import out, print_json, say
from pipeline.cli.session import opened_with_store
from pipeline.model import Briefing, Passage
from pipeline.services.answers import Question


def ask(
    question: Annotated[str, typer.Argument(help="What a customer asks.")],
    *,
    top_k: Annotated[int | None, typer.Option(help="Passages at most [default: 8].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the briefing as JSON.")] = False,
) -> None:
    """Show what an AI responder is told for a question: behaviour, scenarios, and passages with their sources."""
    with opened_with_store() as (services, scope):
        briefing = services.answers.brief(Question(message=question, top_k=top_k), scope=scope)
    if as_json:
        print_json(briefing)
    else:
        show(briefing)


def show(briefing: Briefing) -> None:
    """Print a briefing for a person."""
    for behavior in briefing.behaviors:
        out.print(Text.assemble(("Always  ", "bold magenta"), (behavior.title, "bold"), f"  {behavior.content}"))
    for scenario in briefing.scenarios:
        out.print(
            Text.assemble(
                ("Fired   ", "bold yellow"),
                (scenario.title, "bold"),
                f"  {scenario.content}  ",
                (f"({scenario.score:.2f} ≥ {scenario.threshold:.2f})", "dim"),
            )
        )
    for number, passage in enumerate(briefing.passages, start=1):
        _show_passage(number, passage)
    if not briefing.passages:
        say("Nothing on the website matches.")
    elif not briefing.answerable:
        say("No passage comes close: the website may not answer this.")


def _show_passage(number: int, passage: Passage) -> None:
    path = " > ".join(passage.heading_path) or passage.title
    out.print(Text.assemble((f"\n{number}. ", "bold cyan"), (path, "bold"), (f"  {passage.score:.2f}", "dim")))
    out.print(Text(f"   {passage.url}", style="blue"))
    for line in passage.text.splitlines():
        out.print(Text(f"   {line}"))
