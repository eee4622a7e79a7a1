"""`sitewise org`: the orgs there are, and forgetting one for good."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pipeline.cli import interrupts
from pipeline.cli.output import moment, print_json, print_line, print_table, say
from pipeline.cli.session import opened, opened_with_store
from pipeline.errors import DatabaseUnavailable, InvalidInput, OrgNotFound, VectorStoreUnavailable

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.model import OrgScope

org_app = typer.Typer(help="List orgs, and erase one.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

AT_A_TIME = timedelta(seconds=2)
LOOK_AGAIN_SECONDS = 1.0


@org_app.command("list")
def list_orgs(*, as_json: Json = False) -> None:
    """List every org, by name, those of partners included."""
    with opened() as (services, _):
        found = services.orgs.list_all()
    if as_json:
        print_json({"items": [{"id": org.id, "name": org.name, "created_at": org.created_at} for org in found]})
        return
    rows = [[org.name, org.id, moment(org.created_at)] for org in found]
    print_table(["org", "id", "since"], rows, empty="No org yet.")


@org_app.command("erase")
def erase(
    name: Annotated[str, typer.Argument(help="Its name, or its id.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again: there is no way back.")] = False,
) -> None:
    """Forget an org, to the last byte.

    Its pages, texts, vectors, training, questions and keys.
    """
    with opened_with_store() as (services, _):
        scope = _scope(services, name)
        if not yes and not typer.confirm(f"Erase {name} with all it has? There is no way back.", err=True):
            raise InvalidInput(problem="not confirmed; nothing was erased")
        services.erasure.request(scope)
        say(f"{name} is refused from now on.")
        _finish(services, scope)
    print_line(f"{name} is erased.")


def _finish(services: Services, scope: OrgScope) -> None:
    """Go on until nothing of it is left, patient with whoever still writes or reads."""
    pause = threading.Event()
    while scope.org_id in services.erasure.waiting():
        interrupts.check()
        try:
            done = services.erasure.go_on(lasting=AT_A_TIME)
        except (DatabaseUnavailable, VectorStoreUnavailable) as error:
            say(f"{error} Trying again.")
            done = 0
        if not done:
            pause.wait(LOOK_AGAIN_SECONDS)


def _scope(services: Services, name: str) -> OrgScope:
    """The org of this name, or of this id.

    Raises:
        OrgNotFound: If there is none.
    """
    try:
        return services.orgs.find(name)
    except OrgNotFound:
        return services.orgs.of_id(_id(name))


def _id(name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError as error:
        raise OrgNotFound(org=name) from error
