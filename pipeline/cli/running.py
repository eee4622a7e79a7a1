"""`sitewise up`, `db` and `settings`: run it, migrate it, see how it is set."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Annotated, NoReturn

import typer

from pipeline.cli.output import out, print_json, print_line, say, styled
from pipeline.cli.session import chosen, prepare_directory
from pipeline.errors import PortInUse
from pipeline.settings import Settings

db_app = typer.Typer(help="The database's tables.", no_args_is_help=True)

PROBE_SECONDS = 5.0

Port = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="The port of the HTTP API [default: 8000].", show_default=False),
]
Host = Annotated[str | None, typer.Option(help="The address it listens on [default: 127.0.0.1].", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(*, port: Port = None, host: Host = None) -> None:
    """Run the HTTP API, workers and re-crawls here until Ctrl-C.

    Exit status: 0 when told to end, 1 failure.
    """
    from pipeline.bootstrap import open_services  # noqa: PLC0415 - heavy; usage errors come first
    from pipeline.owner.owner import Owner  # noqa: PLC0415
    from pipeline.owner.safety import check_safe  # noqa: PLC0415
    from pipeline.owner.told import Told  # noqa: PLC0415

    settings = serving_settings(chosen.settings(), host=host, port=port)
    check_safe(settings)
    chosen.set_up_logging(quiet=False)
    check_port(settings.api.port, settings.api.host)
    prepare_directory(settings, grows=True)
    told = Told(then=_listen_no_more)
    with open_services(settings) as services:
        services.generations.find()
        services.orgs.ensure(chosen.org)
        with Owner(settings, beat=True, serves=True):
            services.generations.prepare()
            if settings.database.url is None:
                services.upkeep.take_over()
            say(f"Workers and schedule are up in {settings.data_dir}. Ctrl-C ends them; nothing is lost.")
            say(f"The HTTP API: {address(settings)}/docs; `sitewise partner create` makes its first key.")
            while not told.wait(PROBE_SECONDS):
                prepare_directory(settings, grows=True)
            say("Ending …")
    say("Ended.")


def serve(*, port: Port = None, host: Host = None) -> NoReturn:
    """Serve the HTTP API alone, until Ctrl-C.

    Workers run elsewhere.

    Exit status: 0 when told to end, 1 failure.
    """
    from pipeline.owner.environment import environment_of  # noqa: PLC0415 - heavy; usage errors come first
    from pipeline.owner.safety import check_safe  # noqa: PLC0415

    settings = serving_settings(chosen.settings(), host=host, port=port)
    check_safe(settings)
    check_port(settings.api.port, settings.api.host)
    os.execve(sys.executable, [sys.executable, "-m", "pipeline.api"], environment_of(settings))  # noqa: S606 - our own program


def serving_settings(settings: Settings, *, host: str | None, port: int | None) -> Settings:
    """The settings with the options above them."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return settings.model_copy(update={"api": settings.api.model_copy(update=given)})


def address(settings: Settings) -> str:
    """Where the API answers."""
    host = f"[{settings.api.host}]" if ":" in settings.api.host else settings.api.host
    return f"{'https' if settings.api.tls_certificate else 'http'}://{host}:{settings.api.port}"


def _listen_no_more() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait


def check_port(port: int, host: str = "127.0.0.1") -> None:
    """Refuse a port of this machine that somebody listens on.

    Raises:
        PortInUse: If it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
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
