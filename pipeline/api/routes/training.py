"""Training: scenarios, their drafts and versions, directories, lint and search."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from pipeline.api.acts import AChange, ACreation
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.training import (
    DirectoryBody,
    DraftTextBody,
    ExportBody,
    FoundBody,
    FoundPage,
    ImportBody,
    ImportReportBody,
    LintBody,
    NewDirectoryBody,
    NewScenarioBody,
    RollbackBody,
    ScenarioBody,
    TrainingQuery,
    VersionBody,
)
from pipeline.api.paging import APiece, Page, page_of
from pipeline.model import ScenarioType
from pipeline.services.keys import Caller
from pipeline.services.training import NewScenario, ScenarioText, ScenarioView
from pipeline.services.training_files import Format

router = APIRouter(prefix="/training", tags=["training"])

Reader = Annotated[Caller, Depends(org_caller("training:read"))]
Writer = Annotated[Caller, Depends(org_caller("training:write"))]


@router.post("", status_code=201, response_model=ScenarioBody, summary="Add a scenario")
def create_scenario(body: NewScenarioBody, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Store a scenario; unless it is a draft, it applies from now on."""
    scope, new = org_of(caller), _new(body)
    if (before := act.earlier()) is not None:
        return before
    services.training.compute_ahead(new)

    def make() -> ScenarioBody:
        services.limits.check_room("scenarios", lambda: services.training.count(scope=scope), scope=scope)
        return _scenario(services.training.add(new, scope=scope, by=_who(caller)))

    return act.create(make, action="scenario.create")


@router.get("", summary="List scenarios")
def list_scenarios(
    *,
    caller: Reader,
    services: AServices,
    piece: APiece,
    kind: Annotated[ScenarioType | None, Query(alias="type", description="Only of this type.")] = None,
    directory_id: Annotated[UUID | None, Query(description="Only in this directory.")] = None,
    q: Annotated[
        str, Query(max_length=300, description="Only with these words in the title, the instruction or a draft.")
    ] = "",
) -> Page[ScenarioBody]:
    """The org's scenarios, oldest first."""
    found = services.training.list_page(
        scope=org_of(caller), kind=kind, directory_id=directory_id, words=q, limit=piece.limit, after=piece.after
    )
    return page_of(found, _scenario)


@router.post("/directories", status_code=201, response_model=DirectoryBody, summary="Add a directory")
def create_directory(body: NewDirectoryBody, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Make a folder; one that is there already is given back."""
    scope = org_of(caller)
    return act.create(
        lambda: DirectoryBody.model_validate(services.directories.add(body.name, scope=scope)),
        action="directory.create",
    )


@router.get("/directories", summary="List directories")
def list_directories(caller: Reader, services: AServices, piece: APiece) -> Page[DirectoryBody]:
    """The org's folders, oldest first."""
    found = services.directories.list_page(scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, DirectoryBody.model_validate)


@router.patch("/directories/{directory_id}", summary="Rename a directory")
def rename_directory(
    directory_id: UUID, body: NewDirectoryBody, caller: Writer, act: AChange, services: AServices
) -> DirectoryBody:
    """Call a folder something else."""
    scope = org_of(caller)
    renamed = act.change(
        lambda: services.directories.rename(directory_id, body.name, scope=scope),
        action="directory.rename",
        object_id=directory_id,
    )
    return DirectoryBody.model_validate(renamed)


@router.delete("/directories/{directory_id}", status_code=204, summary="Delete a directory")
def delete_directory(directory_id: UUID, caller: Writer, act: AChange, services: AServices) -> None:
    """Remove a folder. Its scenarios stay in force, in no folder."""
    scope = org_of(caller)
    act.change(
        lambda: services.directories.delete(directory_id, scope=scope),
        action="directory.delete",
        object_id=directory_id,
    )


@router.get("/export", summary="Write all scenarios into a file")
def export_scenarios(
    caller: Reader,
    services: AServices,
    form: Annotated[Format, Query(alias="format", description="What to write.")] = "yaml",
) -> ExportBody:
    """Every scenario, drafts included, as the text of a file to edit and import again."""
    return ExportBody(format=form, text=services.exchange.export(form, scope=org_of(caller)))


@router.post("/import", summary="Make scenarios what a file says")
def import_scenarios(body: ImportBody, caller: Writer, act: AChange, services: AServices) -> ImportReportBody:
    """Add and change scenarios as a file says, all or none; those it does not name stay. Twice is the same as once."""
    scope = org_of(caller)
    plan = services.exchange.plan(body.text, body.format, scope=scope, computes=not body.dry_run)

    def carry_out() -> None:
        if plan.created:
            taken = plan.created - 1
            services.limits.check_room("scenarios", lambda: services.training.count(scope=scope) + taken, scope=scope)
        services.exchange.carry_out(plan, scope=scope, by=_who(caller))

    if plan.changed and not body.dry_run:
        act.change(carry_out, action="scenarios.import", object_id=scope.org_id)
    return ImportReportBody.model_validate(plan.report)


@router.post("/lint", summary="Look for what is in its own way")
def lint(caller: Reader, services: AServices) -> LintBody:
    """Triggers that shadow each other, scenarios that can never fire, doubles, contradictions. It changes nothing.

    Of very much training the nearest pairs and the first sentences are looked at; `left_out` says so.
    """
    return LintBody.model_validate(services.lint.lint(scope=org_of(caller)))


@router.post("/search", summary="Search training and knowledge")
def search(body: TrainingQuery, caller: Reader, services: AServices) -> FoundPage:
    """Scenarios, drafts included, and passages of the website, nearest in meaning first."""
    found = services.search.search(body.query, scope=org_of(caller), limit=body.limit)
    return FoundPage(
        items=[FoundBody.model_validate(item) for item in found.items], next=None, degraded=list(found.degraded)
    )


@router.get("/{scenario_id}", summary="Show a scenario")
def show_scenario(scenario_id: UUID, caller: Reader, services: AServices) -> ScenarioBody:
    """One scenario, with its draft."""
    return _scenario(services.training.get(scenario_id, scope=org_of(caller)))


@router.put("/{scenario_id}", summary="Replace a scenario")
def replace_scenario(
    scenario_id: UUID, body: NewScenarioBody, caller: Writer, act: AChange, services: AServices
) -> ScenarioBody:
    """Make it what the body says; what is left out gets its default.

    New words are a new version at once, unless `is_draft` is set. Another type makes it a draft.
    """
    scope, new = org_of(caller), _new(body)
    services.training.get(scenario_id, scope=scope)
    services.training.compute_ahead(new)
    return _scenario(
        act.change(
            lambda: services.training.replace(scenario_id, new, scope=scope, by=_who(caller)),
            action="scenario.replace",
            object_id=scenario_id,
        )
    )


@router.delete("/{scenario_id}", status_code=204, summary="Delete a scenario")
def delete_scenario(scenario_id: UUID, caller: Writer, act: AChange, services: AServices) -> None:
    """Remove a scenario with all its versions. It applies to nothing from now on."""
    scope = org_of(caller)
    act.change(
        lambda: services.training.delete(scenario_id, scope=scope), action="scenario.delete", object_id=scenario_id
    )


@router.put("/{scenario_id}/draft", summary="Write a draft")
def put_draft(
    scenario_id: UUID, body: DraftTextBody, caller: Writer, act: AChange, services: AServices
) -> ScenarioBody:
    """Keep an edit for later; what is published goes on as it is."""
    scope, text = org_of(caller), ScenarioText(body.title, body.content, tuple(body.triggers))
    return _scenario(
        act.change(
            lambda: services.training.put_draft(scenario_id, text, scope=scope),
            action="scenario.draft",
            object_id=scenario_id,
        )
    )


@router.delete("/{scenario_id}/draft", summary="Discard a draft")
def discard_draft(scenario_id: UUID, caller: Writer, act: AChange, services: AServices) -> ScenarioBody:
    """Forget the edit that waits, if one does."""
    scope = org_of(caller)
    return _scenario(
        act.change(
            lambda: services.training.discard_draft(scenario_id, scope=scope),
            action="scenario.discard",
            object_id=scenario_id,
        )
    )


@router.post("/{scenario_id}/publish", summary="Publish a draft")
def publish(scenario_id: UUID, caller: Writer, act: AChange, services: AServices) -> ScenarioBody:
    """Make the draft the next version, which never changes. Without a draft nothing happens."""
    scope = org_of(caller)
    services.training.compute_ahead_of_publishing(scenario_id, scope=scope)
    return _scenario(
        act.change(
            lambda: services.training.publish(scenario_id, scope=scope, by=_who(caller)),
            action="scenario.publish",
            object_id=scenario_id,
        )
    )


@router.get("/{scenario_id}/versions", summary="List versions")
def list_versions(scenario_id: UUID, caller: Reader, services: AServices, piece: APiece) -> Page[VersionBody]:
    """Everything that was published of a scenario, newest first."""
    found = services.training.version_page(scenario_id, scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, VersionBody.model_validate)


@router.post("/{scenario_id}/rollback", summary="Go back to a version")
def roll_back(scenario_id: UUID, body: RollbackBody, caller: Writer, act: AChange, services: AServices) -> ScenarioBody:
    """Fill the draft with an old version's words; publishing them is another step."""
    scope = org_of(caller)
    return _scenario(
        act.change(
            lambda: services.training.roll_back(scenario_id, body.version, scope=scope),
            action="scenario.rollback",
            object_id=scenario_id,
        )
    )


def _new(body: NewScenarioBody) -> NewScenario:
    given = body.model_dump()
    for name in ("triggers", "restricted_to_channels", "restricted_to_segments"):
        given[name] = tuple(given[name])
    return NewScenario(**given)


def _who(caller: Caller) -> str:
    """As a version names who published it."""
    return f"key {caller.key_id}"


def _scenario(view: ScenarioView) -> ScenarioBody:
    return ScenarioBody.model_validate(view)
