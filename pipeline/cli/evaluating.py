"""`sitewise evaluate`: golden questions, and how well they are answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from typer.core import TyperGroup

from pipeline.cli.output import moment, print_json, print_line, print_table, say
from pipeline.cli.session import chosen, opened, opened_with_store
from pipeline.cli.training_files import Form, form_of, read_file
from pipeline.errors import InvalidInput

if TYPE_CHECKING:
    from pipeline.services.evaluation import Asked, Golden, Report

NOT_ENOUGH = 1
"""Exit status when the score is below what `--least` asks for."""


class _Group(TyperGroup):
    """Without the name of a command, questions are asked: those stored, or those of a file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - its type has no public name
        """Put the name in where it was left out."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


evaluate_app = typer.Typer(
    cls=_Group, help="Ask golden questions and score the answers.\n\nUse `sitewise evaluate [FILE]`, or one of these."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@evaluate_app.command("run")
def run(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Ask these, in YAML, lines of JSON or CSV, instead of the stored ones."),
    ] = None,
    *,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with a plot.")] = None,
    least: Annotated[float, typer.Option(min=0, max=1, help="Exit with 1 when the score is lower.")] = 0.0,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Ask the stored questions, or a file's.

    Compare with what they scored before. This is the default.
    """
    from pipeline.services.evaluation_page import render  # noqa: PLC0415 - nothing is loaded to show help
    from pipeline.services.golden_files import read  # noqa: PLC0415 - as above

    questions = None if file is None else read(read_file(file), form or form_of(file))
    with opened_with_store() as (services, scope):
        report = services.evaluation.evaluate(questions, scope=scope)
        history = services.evaluation.history(scope=scope)
    if html is not None:
        _write(html, render(report, history, org=chosen.org))
    if as_json:
        print_json(report)
    elif not report.questions:
        say("No golden question yet; `sitewise evaluate add` and `import` store some.")
    else:
        show(report)
    if report.questions and report.score < least:
        say(f"The score is below {least:.2f}.")
        raise typer.Exit(NOT_ENOUGH)


@evaluate_app.command("add")
def add(
    question: Annotated[str, typer.Argument(help="What a customer asks.")],
    *,
    url: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="A page that answers it; repeatable.", show_default=False)
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="WORDS", help="Words that a passage must have; repeatable.", show_default=False),
    ] = None,
    scenario: Annotated[str | None, typer.Option(metavar="TITLE", help="The scenario that must fire.")] = None,
    no_answer: Annotated[bool, typer.Option("--no-answer", help="The website must not seem to answer it.")] = False,
    before: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="What was said before, as for `ask`; repeatable.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Store a question with what a good answer has.

    For a question that is there, replace that.
    """
    from pipeline.retrieval.scoring import Expected  # noqa: PLC0415 - as above
    from pipeline.services.golden_files import NewGolden  # noqa: PLC0415 - as above

    expected = Expected(tuple(url or ()), tuple(text or ()), scenario, no_answer)
    with opened(makes_org=True) as (services, scope):
        stored = services.evaluation.add(NewGolden(question, expected, tuple(before or ())), scope=scope)
    if as_json:
        print_json(stored)
    else:
        print_line(f"{stored.id}  stored: {stored.message}")


@evaluate_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or CSV; - for stdin.")],
    *,
    form: Form = None,
    replace: Annotated[bool, typer.Option("--replace", help="Remove stored questions that it does not have.")] = False,
    as_json: Json = False,
) -> None:
    """Store a file's questions.

    Fields: question, urls, texts, scenario, no_answer, before.
    """
    from pipeline.services.golden_files import read  # noqa: PLC0415 - as above

    questions = read(read_file(file), form or form_of(file))
    with opened(makes_org=True) as (services, scope):
        report = services.evaluation.import_all(questions, scope=scope, replaces=replace)
    if as_json:
        print_json(report)
    else:
        print_line(f"{report.added} were added, {report.changed} written again, {report.removed} removed.")


@evaluate_app.command("list")
def list_questions(*, as_json: Json = False) -> None:
    """List the stored questions, oldest first."""
    with opened() as (services, scope):
        found = services.evaluation.listing(scope=scope)
    if as_json:
        print_json({"items": found, "next": None})
        return
    print_table(
        ["question", "expected", "id"],
        [[one.message, _expected(one), one.id] for one in found],
        empty="No golden question yet; `sitewise evaluate add` stores one.",
    )


@evaluate_app.command("remove")
def remove(
    question: Annotated[UUID, typer.Argument(metavar="ID", help="As `sitewise evaluate list` shows it.")],
) -> None:
    """Forget a question."""
    with opened() as (services, scope):
        services.evaluation.remove(question, scope=scope)
    print_line(f"{question}  removed")


def show(report: Report) -> None:
    """Print a report for a person, the worst answers first."""
    from pipeline.services.evaluation_page import NAMES, complaints  # noqa: PLC0415 - as above

    worst_first = sorted(report.questions, key=lambda one: (one.scored.score, one.message))
    print_table(
        ["score", "before", "question", "what is wrong"],
        [
            [f"{one.scored.score:.2f}", _before(one), one.message, "; ".join(complaints(one)) or ""]
            for one in worst_first
        ],
        empty="",
    )
    figures = ", ".join(f"{NAMES[name]} {mean:.2f}" for name, mean in report.means.items())
    print_line(f"score {report.score:.2f} over {len(report.questions)} questions ({figures})")
    if report.now is not None and report.then is not None:
        print_line(f"the same questions scored {report.then:.2f} on {moment(report.since)}, now {report.now:.2f}")


def _before(one: Asked) -> str:
    return "" if one.before is None else f"{one.before:.2f}"


def _expected(one: Golden) -> str:
    told = [*one.urls, *(f"“{text}”" for text in one.texts)]
    if one.scenario is not None:
        told.append(f"scenario {one.scenario}")
    if one.no_answer:
        told.append("no answer")
    return ", ".join(told)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(file=file, problem=error.strerror) from error
    say(f"Written to {file}.")
