"""The commands, their options, and what an error means for the exit status.

0 done · 1 failure · 2 bad input · 3 nothing kept · 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import click
import typer

from pipeline.cli import asking, crawling, looking, running, training
from pipeline.cli.output import say
from pipeline.cli.session import chosen
from pipeline.errors import InvalidInput, SitewiseError
from pipeline.logs import set_up_logging
from pipeline.services.orgs import DEFAULT_ORG

FAILURE, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="sitewise",
    help="Reads a website, keeps what it learned current, and briefs an AI support agent.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where an embedded Sitewise keeps everything [default: .sitewise, or SITEWISE_DATA_DIR]."),
    ] = None,
    org: Annotated[str, typer.Option(help="The org to work for; made if there is none of this name.")] = DEFAULT_ORG,
) -> None:
    """Set what every command shares."""
    chosen.data_dir = data_dir
    chosen.org = org
    set_up_logging(chosen.settings())


app.command()(crawling.crawl)
app.command()(asking.ask)
app.command()(looking.status)
app.command()(looking.why)
app.command()(looking.verify)
app.command()(running.up)
app.command()(running.settings)
app.add_typer(looking.page_app, name="page")
app.add_typer(training.training_app, name="training")
app.add_typer(running.db_app, name="db")


def run() -> NoReturn:
    """Run one command and end the process with its exit status."""
    try:
        app(standalone_mode=False)
    except InvalidInput as error:
        _end(str(error), BAD_INPUT)
    except SitewiseError as error:
        _end(str(error), FAILURE)
    except click.ClickException as error:
        error.show(file=sys.stderr)
        sys.exit(BAD_INPUT)
    except click.exceptions.Exit as ending:
        sys.exit(ending.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _end("Interrupted. What was stored is kept; the same command goes on from there.", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILURE)
    sys.exit(0)


def _end(message: str, status: int) -> NoReturn:
    say(f"sitewise: {message}")
    sys.exit(status)
