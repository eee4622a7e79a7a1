"""`sitewise up`, `db` and `settings`: run it, migrate it, see how it is set."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from pipeline.cli.output import print_json, print_table, say
from pipeline.cli.session import chosen, prepare_directory
from pipeline.cli.settings_table import rows
from pipeline.db import revision
from pipeline.db.engine import Database

db_app = typer.Typer(help="The database's tables.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the HTTP API, once there is one.")] = 8_000,
) -> None:
    """Run workers and the re-crawl schedule on this machine until Ctrl-C."""
    del port
    from pipeline.bootstrap import open_services  # noqa: PLC0415 - heavy; usage errors come first
    from pipeline.owner.owner import Owner  # noqa: PLC0415

    settings = chosen.settings()
    prepare_directory(settings)
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with open_services(settings) as services:
        services.orgs.ensure(chosen.org)
        with Owner(settings, beat=True):
            if settings.database.url is None:
                services.upkeep.take_over()
            say(f"Sitewise is up in {settings.data_dir}. Ctrl-C ends it; nothing is lost.")
            stop.wait()
            say("Ending …")


@db_app.command("upgrade")
def upgrade() -> None:
    """Bring the tables up to this version; the knowledge is kept."""
    settings = chosen.settings()
    prepare_directory(settings)
    database = Database(settings.database, data_dir=settings.data_dir)
    before = revision.current_revision(database)
    revision.upgrade(database)
    typer.echo(f"{before or 'empty'} → {revision.head()}")


def settings(*, as_json: Json = False) -> None:
    """List every setting: its value, where the value comes from, its unit and its meaning."""
    listed = rows(chosen.settings())
    if as_json:
        print_json(listed)
        return
    print_table(
        ["setting", "value", "from", "unit", "meaning"],
        [[row.name, row.value, row.source, row.unit, row.description] for row in listed],
        empty="",
    )
