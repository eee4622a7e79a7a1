"""Calls about training scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.client.answers import Scenario, ScenarioVersion
from pipeline.client.call import Call, PageOf, get, post


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


def search(query: str) -> Call[dict[str, Any]]:
    """Search training and knowledge together."""
    return post("/training/search", {"query": query})
