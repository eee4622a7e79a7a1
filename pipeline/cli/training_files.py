"""`sitewise training import`, `export` and `lint`: scenarios as people write and check them."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.output import print_json, print_line, say
from pipeline.cli.session import opened, opened_with_store
from pipeline.cli.training import Json, whoever
from pipeline.errors import InvalidInput

if TYPE_CHECKING:
    from pipeline.services.training_lint import Finding

files_app = typer.Typer()
EVIDENCE_WIDTH = 160

Form = Annotated[
    Literal["yaml", "csv"] | None,
    typer.Option("--format", help="What the file is; else its ending says, .csv or anything else for YAML."),
]


@files_app.command("export")
def export_file(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Where to; else to stdout.")] = None,
    *,
    form: Form = None,
) -> None:
    """Write every scenario, drafts included, into a file to edit."""
    with opened() as (services, scope):
        text = services.exchange.export(form or form_of(file), scope=scope)
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8-sig" if file.suffix.lower() == ".csv" else "utf-8", newline="")
    except OSError as error:
        raise InvalidInput(file=file, problem=error.strerror) from error
    say(f"Written to {file}.")


@files_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or CSV; - for stdin.")],
    *,
    form: Form = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make scenarios what a file says.

    Importing it twice is the same as once.
    """
    text = read_file(file)
    with opened(makes_org=True) as (services, scope):
        report = services.exchange.import_file(
            text, form or form_of(file), scope=scope, by=whoever(), is_rehearsal=dry_run
        )
    if as_json:
        print_json(report)
        return
    for sign, titles in (("+", report.created), ("~", report.updated)):
        for title in titles:
            print_line(f"{sign} {title}")
    verb = "would be" if dry_run else "were"
    print_line(
        f"{len(report.created)} {verb} created, {len(report.updated)} updated; {len(report.unchanged)} are as they are."
    )


@files_app.command("lint")
def lint(
    *,
    sure: Annotated[float, typer.Option(min=0, max=1, help="Only what is at least so sure, from 0 to 1.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Look for what is in its own way.

    Triggers that shadow each other, scenarios that never fire, doubles and contradictions.
    """
    with opened_with_store() as (services, scope):
        report = services.lint.lint(scope=scope)
    found = [finding for finding in report.findings if finding.confidence >= sure]
    if as_json:
        told = {"scenarios": report.scenarios, "pages_checked": report.pages_checked, "left_out": report.left_out}
        print_json({"items": found} | told)
        return
    for finding in found:
        show(finding)
    for words in report.left_out:
        say(f"Only {words}.")
    say(f"{len(found)} findings in {report.scenarios} scenarios. They are candidates: read the evidence.")


def show(finding: Finding) -> None:
    """A finding with its evidence, as a person reads it."""
    print_line(f"{finding.kind}  {finding.confidence:.0%} sure: {' | '.join(finding.titles)}")
    print_line(f"    {finding.message}")
    for text in finding.evidence:
        print_line(f"    - {textwrap.shorten(text, EVIDENCE_WIDTH, placeholder=' …')}")
    if finding.url:
        print_line(f"    {finding.url}")


def form_of(file: Path | None) -> Literal["yaml", "csv"]:
    """The format a file's ending tells."""
    return "csv" if file is not None and file.suffix.lower() == ".csv" else "yaml"


def read_file(file: Path) -> str:
    """The text of a file, or of stdin, without a byte order mark.

    Raises:
        InvalidInput: If it cannot be read, or is not UTF-8.
    """
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(file=file, problem=error.strerror) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(file=file, problem="it is not UTF-8; save it as UTF-8") from error
