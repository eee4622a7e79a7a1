"""`sitewise training`: write, publish and list the scenarios that say how to behave."""

from __future__ import annotations

import getpass
from typing import Annotated
from uuid import UUID

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table
from pipeline.cli.session import opened
from pipeline.model import Channel, ScenarioType

training_app = typer.Typer(help="Say how the agent behaves.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[UUID, typer.Argument(metavar="ID", help="As `sitewise training list` shows it.")]


def whoever() -> str:
    """The user of this machine, as versions name who published them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command line"


@training_app.command("add")
def add(
    *,
    title: Annotated[str, typer.Option(help="What a reader calls it; also the first trigger.")],
    content: Annotated[str, typer.Option(help="The instruction.")],
    kind: Annotated[
        ScenarioType, typer.Option("--type", help="BEHAVIORAL applies always, SCENARIO_SPECIFIC when it matches.")
    ] = ScenarioType.SCENARIO_SPECIFIC,
    trigger: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A way a customer may ask; repeat.", show_default=False)
    ] = None,
    channel: Annotated[
        list[Channel] | None,
        typer.Option(
            metavar="CHANNEL", help="Only on this channel: " + ", ".join(Channel) + ". Repeat.", show_default=False
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only for contacts of this segment; repeat.", show_default=False),
    ] = None,
    directory: Annotated[str, typer.Option(metavar="NAME", help="Keep it in this directory.")] = "",
    draft: Annotated[bool, typer.Option(help="Store it without using it.")] = False,
    priority: Annotated[int, typer.Option(help="Higher wins between scenarios in conflict.")] = 0,
    as_json: Json = False,
) -> None:
    """Add a scenario; unless it is a draft, it is used from now on."""
    from pipeline.services.training import NewScenario  # noqa: PLC0415 - nothing is loaded to show help

    with opened(makes_org=True) as (services, scope):
        new = NewScenario(
            title=title,
            content=content,
            type=kind,
            triggers=tuple(trigger or ()),
            is_draft=draft,
            priority=priority,
            directory_id=services.directories.add(directory, scope=scope).id if directory else None,
            restricted_to_channels=tuple(channel or ()),
            restricted_to_segments=tuple(segment or ()),
        )
        scenario = services.training.add(new, scope=scope, by=whoever())
    if as_json:
        print_json(scenario)
    else:
        print_line(f"{scenario.id}  {'stored as a draft' if scenario.is_draft else 'in use'}: {scenario.title}")


@training_app.command("list")
def list_scenarios(
    *,
    kind: Annotated[ScenarioType | None, typer.Option("--type", help="Only this type.")] = None,
    words: Annotated[str, typer.Option("--search", metavar="WORDS", help="Only with these words in it.")] = "",
    as_json: Json = False,
) -> None:
    """List scenarios, oldest first."""
    with opened() as (services, scope):
        scenarios = services.training.list_scenarios(scope=scope, kind=kind, words=words)
    if as_json:
        print_json({"items": scenarios, "next": None})
        return
    print_table(
        ["title", "type", "triggers", "state", "id"],
        [
            [
                row.title,
                row.type,
                len(row.triggers) or "",
                "draft" if row.is_draft else f"v{row.current_version}" + ("+draft" if row.draft_title else ""),
                row.id,
            ]
            for row in scenarios
        ],
        empty="No scenario yet; `sitewise training add` writes one.",
    )


@training_app.command("publish")
def publish(scenario: Id, *, as_json: Json = False) -> None:
    """Use a scenario's draft from now on, as its next version."""
    with opened() as (services, scope):
        view = services.training.publish(scenario, scope=scope, by=whoever())
    if as_json:
        print_json(view)
    else:
        print_line(f"{view.id}  in use as v{view.current_version}: {view.title}")


@training_app.command("versions")
def versions(scenario: Id, *, as_json: Json = False) -> None:
    """List what was published of a scenario, newest first."""
    with opened() as (services, scope):
        found = services.training.versions(scenario, scope=scope)
    if as_json:
        print_json({"items": found, "next": None})
        return
    print_table(
        ["version", "published", "by", "title"],
        [[f"v{row.number}", moment(row.created_at), row.published_by, row.title] for row in found],
        empty="It was never published; `sitewise training publish` does.",
    )


@training_app.command("rollback")
def roll_back(
    scenario: Id,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Its number, without the v.")],
    *,
    as_json: Json = False,
) -> None:
    """Fill a scenario's draft with an old version.

    What is in use stays until you publish.
    """
    with opened() as (services, scope):
        view = services.training.roll_back(scenario, version, scope=scope)
    if as_json:
        print_json(view)
    else:
        print_line(f"{view.id}  v{version} is the draft now; `sitewise training publish {view.id}` puts it to use")


@training_app.command("delete")
def delete(scenario: Id) -> None:
    """Remove a scenario with all its versions."""
    with opened() as (services, scope):
        services.training.delete(scenario, scope=scope)
    print_line(f"{scenario}  deleted")
