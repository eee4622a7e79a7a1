"""`sitewise up`, `db` and `settings`: run it, migrate it, see how it is set."""

from __future__ import annotations

import signal
import socket
from typing import Annotated

import typer

from pipeline.cli.crawling import model_identity
from pipeline.cli.output import out, print_json, print_line, say, styled
from pipeline.cli.session import chosen, prepare_directory
from pipeline.errors import PortInUse

db_app = typer.Typer(help="The database's tables.", no_args_is_help=True)

PROBE_SECONDS = 5.0

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Kept for the HTTP API, which comes later.")] = 8_000,
) -> None:
    """Run workers and re-crawls here until Ctrl-C.

    Exit status: 0 when told to end, 1 failure.
    """
    from pipeline.bootstrap import open_services  # noqa: PLC0415 - heavy; usage errors come first
    from pipeline.owner.owner import Owner  # noqa: PLC0415
    from pipeline.owner.told import Told  # noqa: PLC0415

    settings = chosen.settings()
    chosen.set_up_logging(quiet=False)
    check_port(port)
    identity = model_identity(settings)
    prepare_directory(settings, grows=True)
    told = Told(then=_listen_no_more)
    with open_services(settings) as services:
        services.orgs.ensure(chosen.org)
        with Owner(settings, beat=True):
            services.store().prepare(identity)
            if settings.database.url is None:
                services.upkeep.take_over()
            say(f"Workers and schedule are up in {settings.data_dir}. Ctrl-C ends them; nothing is lost.")
            say(f"There is no HTTP API yet: port {port} stays unused.")
            while not told.wait(PROBE_SECONDS):
                prepare_directory(settings, grows=True)
            say("Ending …")
    say("Ended.")


def _listen_no_more() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait


def check_port(port: int) -> None:
    """Refuse a port of this machine that somebody listens on.

    Raises:
        PortInUse: If it cannot be had.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUse(port=port, problem=error.strerror or "cannot be had") from error


@db_app.command("upgrade")
def upgrade(*, as_json: Json = False) -> None:
    """Bring the tables up to this version; the knowledge is kept."""
    from pipeline.db import revision  # noqa: PLC0415 - a database driver, which --help can do without
    from pipeline.db.engine import Database  # noqa: PLC0415

    settings = chosen.settings()
    prepare_directory(settings)
    database = Database(settings.database, data_dir=settings.data_dir)
    try:
        before = revision.current_revision(database)
        revision.upgrade(database)
    finally:
        database.close()
    if as_json:
        print_json({"before": before, "now": revision.head()})
    else:
        print_line(f"{before or 'empty'} → {revision.head()}")


def settings(*, as_json: Json = False) -> None:
    """List every setting, its value and its source."""
    from pipeline.cli.settings_table import rows  # noqa: PLC0415 - only this command needs it

    listed = rows(chosen.settings())
    if as_json:
        print_json(listed)
        return
    for row in listed:
        value = f"{row.value} {row.unit}".strip() if row.value else "(none)"
        color = "dim" if row.source == "default" else "bold green"
        out.print(styled((row.name, "bold"), f" = {value}  ", (f"[{row.source}]", color)))
        print_line(f"    {row.description}")
