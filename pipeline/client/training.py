"""Calls about training scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pipeline.client.answers import ImportReport, Scenario, ScenarioVersion
from pipeline.client.call import Call, PageOf, get, post

LONG_SECONDS = 300.0
"""For what looks at all scenarios of an org."""


def add(title: str, content: str, **fields: Any) -> Call[Scenario]:  # noqa: ANN401 - the fields of the API's document
    """Add a scenario. Fields as in the API's document."""
    return post("/training", {"title": title, "content": content, **fields})


def scenarios(*, kind: str | None = None, q: str | None = None) -> Call[PageOf[Scenario]]:
    """The org's scenarios, oldest first."""
    return get("/training", type=kind, q=q)


def scenario(scenario_id: str) -> Call[Scenario]:
    """One scenario."""
    return get(f"/training/{scenario_id}")


def replace(scenario_id: str, fields: Mapping[str, Any]) -> Call[Scenario]:
    """Write a scenario anew."""
    return Call("PUT", f"/training/{scenario_id}", json=fields)


def draft(scenario_id: str, title: str, content: str, triggers: Sequence[str] = ()) -> Call[Scenario]:
    """Write what is to be published next."""
    body = {"title": title, "content": content, "triggers": list(triggers)}
    return Call("PUT", f"/training/{scenario_id}/draft", json=body)


def publish(scenario_id: str) -> Call[Scenario]:
    """Use the draft from now on."""
    return post(f"/training/{scenario_id}/publish")


def versions(scenario_id: str) -> Call[PageOf[ScenarioVersion]]:
    """What was published, newest first."""
    return get(f"/training/{scenario_id}/versions")


def roll_back(scenario_id: str, version: int) -> Call[Scenario]:
    """Fill the draft with an old version."""
    return post(f"/training/{scenario_id}/rollback", {"version": version})


def delete(scenario_id: str) -> Call[None]:
    """Remove a scenario with all its versions."""
    return Call("DELETE", f"/training/{scenario_id}")


def export(form: Literal["yaml", "csv"] = "yaml") -> Call[dict[str, str]]:
    """Every scenario as the text of a file."""
    return get("/training/export", format=form)


def import_file(text: str, form: Literal["yaml", "csv"] = "yaml", *, dry_run: bool = False) -> Call[ImportReport]:
    """Make scenarios what a file says."""
    body = {"text": text, "format": form, "dry_run": dry_run}
    return post("/training/import", body).within(LONG_SECONDS)


def lint() -> Call[dict[str, Any]]:
    """What in training is in its own way."""
    return post("/training/lint").within(LONG_SECONDS)


def directories() -> Call[PageOf[dict[str, Any]]]:
    """The folders, oldest first."""
    return get("/training/directories")


def add_directory(name: str) -> Call[dict[str, Any]]:
    """The folder of this name, made if there is none."""
    return post("/training/directories", {"name": name})


def search(query: str) -> Call[dict[str, Any]]:
    """Search training and knowledge together."""
    return post("/training/search", {"query": query})
