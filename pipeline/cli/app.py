"""The commands, their options, and what an error means for the exit status.

0 done · 1 failure · 2 bad input · 3 nothing kept · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pipeline.cli import (
    asking,
    crawling,
    dead,
    evaluating,
    history,
    interrupts,
    jobs,
    looking,
    operating,
    orgs,
    partners,
    rederiving,
    reembedding,
    running,
    scheduling,
    training,
    training_files,
)
from pipeline.cli.output import say
from pipeline.cli.reach import NotOverServer, sentence_for
from pipeline.cli.session import DEFAULT_ORG, chosen
from pipeline.errors import InvalidInput, SitewiseError, code_of

DONE, FAILURE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="sitewise",
    help="Reads a website, keeps what it learned current, and briefs an AI support agent.",
    epilog="Exit status: 0 done, 3 nothing kept, 2 bad input, 1 failure, 130 interrupted.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - reads the installed package, which no other command does

        typer.echo(f"sitewise {version('sitewise')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where an embedded Sitewise keeps everything [default: SITEWISE_DATA_DIR, or .sitewise].",
            show_default=False,
        ),
    ] = None,
    org: Annotated[str, typer.Option(help="The org to work for; crawl and training add make it.")] = DEFAULT_ORG,
    server: Annotated[
        str | None,
        typer.Option(envvar="SITEWISE_SERVER", metavar="URL", help="Work with the deployment there, over HTTP."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="SITEWISE_KEY",
            help="An API key for it: an org's, which says which org, or a partner's.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Set what every command shares."""
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(BAD_INPUT)
    chosen.data_dir = data_dir
    chosen.org = org
    chosen.server, chosen.key = server, key
    if server is not None and (why := sentence_for(context.invoked_subcommand)) is not None:
        raise NotOverServer(command=context.invoked_subcommand, why=why)
    if "--help" not in sys.argv:
        chosen.set_up_logging()


app.command()(crawling.crawl)
app.command()(asking.ask)
app.command()(asking.briefing)
app.command()(looking.status)
app.command()(operating.workers)
app.command()(looking.why)
app.command()(looking.verify)
app.command()(running.up)
app.command()(running.serve)
app.command()(running.settings)
looking.page_app.command("history")(history.history)
looking.page_app.command("rollback")(history.rollback)
app.add_typer(looking.page_app, name="page")
app.add_typer(jobs.jobs_app, name="jobs")
app.add_typer(scheduling.schedule_app, name="schedule")
app.add_typer(dead.dead_app, name="dead")
app.add_typer(rederiving.rederive_app, name="rederive")
app.add_typer(reembedding.reembed_app, name="reembed")
training.training_app.add_typer(training_files.files_app)
app.add_typer(training.training_app, name="training")
app.add_typer(evaluating.evaluate_app, name="evaluate")
app.add_typer(running.db_app, name="db")
app.add_typer(orgs.org_app, name="org")
app.add_typer(partners.partner_app, name="partner")
app.add_typer(partners.key_app, name="key")


def run() -> NoReturn:
    """Run one command and end the process with its exit status."""
    interrupts.listen()
    try:
        app()
    except InvalidInput as error:
        _end(str(error), status_of(error))
    except SitewiseError as error:
        _end(str(error), FAILURE)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _end("Interrupted. What was stored is kept; the same command goes on from there.", INTERRUPTED)
        raise
    except BrokenPipeError:
        _silence_stdout()
        sys.exit(FAILURE)
    except Exception as error:  # a person is told in one line, and how to see the rest
        if os.environ.get("SITEWISE_LOG_LEVEL", "").lower() == "debug":
            raise
        problem = str(error).strip().splitlines()
        _end(
            f"Unexpected {type(error).__name__}{f': {problem[0]}' if problem else ''}."
            " What was stored is kept. SITEWISE_LOG_LEVEL=debug shows where it happened.",
            FAILURE,
        )
    sys.exit(DONE)


def status_of(error: InvalidInput) -> int:
    """The exit status of a refusal; of one by a server, that of the same failure here."""
    kinds = [SitewiseError]
    for kind in kinds:
        if code_of(kind) == error.facts.get("code") and not issubclass(kind, InvalidInput):
            return FAILURE
        kinds += kind.__subclasses__()
    return BAD_INPUT


def _end(message: str, status: int) -> NoReturn:
    say(f"sitewise: {message}")
    sys.exit(status)


def _silence_stdout() -> None:
    """Nobody reads stdout any more: what Python still writes at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
