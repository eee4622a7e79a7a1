"""`sitewise partner` and `sitewise key`: who may use the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pipeline.cli.output import print_json, print_line, say
from pipeline.cli.session import opened

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.services.keys import KeyView

partner_app = typer.Typer(help="Platforms that make orgs over the HTTP API.", no_args_is_help=True)
key_app = typer.Typer(help="API keys of the chosen org, or of a partner.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PartnerId = Annotated[UUID, typer.Argument(help="The partner's id.")]
OfPartner = Annotated[UUID | None, typer.Option("--partner", help="Of this partner instead of the org.")]


@partner_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    logo: Annotated[str | None, typer.Option(help="The address of its picture.")] = None,
    app_name: Annotated[str | None, typer.Option(help="How its orgs call the agent's app.")] = None,
    instructions: Annotated[str, typer.Option(help="What its orgs answer by, if they say nothing else.")] = "",
    as_json: Json = False,
) -> None:
    """Make a partner and its first key, which is shown this once."""
    with opened() as (services, _):
        made = services.provisioning.add_partner(name, logo=logo, app_name=app_name, default_instructions=instructions)
        key = services.keys.for_partner(made.id, name="first")
        _note(services, "partner.create", made.id, partner_id=made.id)
    if as_json:
        print_json({"id": made.id, "name": made.name, "api_key": key.shown})
        return
    print_line(str(key.shown))
    say(f"Partner {made.id}. This is the only time that its key is shown.")


@partner_app.command("list")
def list_all(*, as_json: Json = False) -> None:
    """List partners."""
    with opened() as (services, _):
        found = services.provisioning.list_partners()
    if as_json:
        print_json([{"id": one.id, "name": one.name, "status": one.status} for one in found])
        return
    for one in found:
        print_line(f"{one.id}  {one.status:<8}  {one.name}")


@partner_app.command("deactivate")
def deactivate(partner: PartnerId) -> None:
    """Refuse a partner's keys and those of its orgs.

    Within a second. Nothing is deleted.
    """
    _set_status(partner, "inactive")


@partner_app.command("activate")
def activate(partner: PartnerId) -> None:
    """Take its keys again."""
    _set_status(partner, "active")


@partner_app.command("limits")
def limits(
    org_id: Annotated[UUID, typer.Argument(help="The org, of whichever partner.")],
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=NUMBER...", help="Such as datasources=500; datasources= takes it away.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Give an org limits of its own, above or below the settings."""
    from pipeline.model import OrgScope  # noqa: PLC0415 - as elsewhere: usage errors come first

    wanted = dict(_limit(value) for value in values)
    with opened() as (services, _):
        now = services.limits.set_own(wanted, scope=OrgScope(org_id))
        _note(services, "limits.change", org_id, org_id=org_id)
    if as_json:
        print_json(now)
        return
    for name, value in now.items():
        print_line(f"{name} = {value}")


@key_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    partner: OfPartner = None,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="What it may do; repeat it. Without: everything.")
    ] = None,
    expires: Annotated[datetime | None, typer.Option(help="From when on it is refused (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Make a key, which is shown this once."""
    with opened(makes_org=partner is None) as (services, org):
        if partner is not None:
            made = services.keys.for_partner(partner, name=name)
        else:
            made = services.keys.for_org(
                org.org_id,
                name=name,
                scopes=scope,
                expires_at=expires.replace(tzinfo=UTC) if expires else None,
                partner_id=None,
            )
        _note(services, "api_key.create", made.id, partner_id=partner, org_id=None if partner else org.org_id)
    if as_json:
        print_json({"id": made.id, "name": made.name, "api_key": made.shown})
        return
    print_line(str(made.shown))
    say(f"Key {made.id}. This is the only time that it is shown.")


@key_app.command("list")
def list_keys(*, partner: OfPartner = None, as_json: Json = False) -> None:
    """List keys.

    How each ends, when it was used last, and whether it is revoked.
    """
    with opened() as (services, org):
        found = _keys_of(services, org.org_id) if partner is None else services.keys.list_of_partner(partner)
    if as_json:
        print_json([_shown(key) for key in found])
        return
    for key in found:
        state = "revoked" if key.revoked_at else "live"
        used = key.last_used_at.isoformat(timespec="minutes") if key.last_used_at else "never used"
        print_line(f"{key.id}  …{key.last_four}  {state:<7}  {used}  {key.name}")


@key_app.command("revoke")
def revoke(key: Annotated[UUID, typer.Argument(help="The key's id.")]) -> None:
    """End a key: within a second it is refused everywhere."""
    with opened() as (services, _):
        services.keys.revoke(key)
        _note(services, "api_key.revoke", key)
    say(f"Key {key} is revoked.")


def _keys_of(services: Services, org_id: UUID) -> list[KeyView]:
    """All of the org's, oldest first."""
    page = services.keys.list_of_org(org_id, partner_id=None)
    found = list(page.items)
    while page.next is not None:
        page = services.keys.list_of_org(org_id, partner_id=None, after=page.next)
        found += page.items
    return found


def _set_status(partner: UUID, status: str) -> None:
    with opened() as (services, _):
        view = services.provisioning.set_partner_status(partner, status)
        _note(services, f"partner.{status}", partner, partner_id=partner)
    say(f"{view.name} is {view.status}.")


def _note(
    services: Services, action: str, subject: UUID, *, partner_id: UUID | None = None, org_id: UUID | None = None
) -> None:
    from pipeline.services.audit import Deed  # noqa: PLC0415 - as above

    services.audit.note(
        Deed(
            action=action,
            object_kind=action.partition(".")[0],
            object_id=str(subject),
            partner_id=partner_id,
            org_id=org_id,
            source="command line",
        )
    )


def _limit(value: str) -> tuple[str, int | None]:
    name, _, number = value.partition("=")
    if number and not number.isdecimal():
        raise typer.BadParameter(f"{value}: give name=number")
    return name, int(number) if number else None


def _shown(key: KeyView) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "last_four": key.last_four,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
