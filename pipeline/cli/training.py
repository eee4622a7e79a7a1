"""`sitewise training`: write and list the scenarios that say how to behave."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.output import print_json, print_line, print_table
from pipeline.cli.session import opened
from pipeline.model import ScenarioType

training_app = typer.Typer(help="Say how the agent behaves.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    draft: Annotated[bool, typer.Option(help="Store it without using it.")] = False,
    priority: Annotated[int, typer.Option(help="Higher wins between scenarios in conflict.")] = 0,
    as_json: Json = False,
) -> None:
    """Add a scenario; unless it is a draft, it is used from now on."""
    from pipeline.services.training import NewScenario  # noqa: PLC0415 - nothing is loaded to show help

    new = NewScenario(
        title=title, content=content, type=kind, triggers=tuple(trigger or ()), is_draft=draft, priority=priority
    )
    with opened(makes_org=True) as (services, scope):
        scenario = services.training.add(new, scope=scope)
    if as_json:
        print_json(scenario)
    else:
        print_line(f"{scenario.id}  {'stored as a draft' if scenario.is_draft else 'in use'}: {scenario.title}")


@training_app.command("list")
def list_scenarios(
    *,
    kind: Annotated[ScenarioType | None, typer.Option("--type", help="Only this type.")] = None,
    as_json: Json = False,
) -> None:
    """List scenarios, oldest first."""
    with opened() as (services, scope):
        scenarios = services.training.list_scenarios(scope=scope, kind=kind)
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
                "draft" if row.is_draft else f"v{row.current_version}",
                row.id,
            ]
            for row in scenarios
        ],
        empty="No scenario yet; `sitewise training add` writes one.",
    )
