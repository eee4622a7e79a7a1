"""Training, elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from pipeline.cli.remote.views import Remote, view_of
from pipeline.client import training
from pipeline.client.call import post
from pipeline.services.training_exchange import ImportReport
from pipeline.services.training_lint import LintReport
from pipeline.services.training_text import DirectoryView, ScenarioView, VersionView

if TYPE_CHECKING:
    from pipeline.services.training import NewScenario

Form = Literal["yaml", "csv"]


class RemoteTraining(Remote):
    """Scenarios of the org."""

    def add(self, new: NewScenario, *, scope: object, by: str) -> ScenarioView:
        """Add a scenario."""
        del scope, by
        return view_of(ScenarioView, self._client.send(post("/training", _body(new))))

    def list_scenarios(self, *, scope: object, kind: str | None = None, words: str = "") -> list[ScenarioView]:
        """Scenarios, oldest first."""
        del scope
        return [view_of(ScenarioView, one) for one in self._client.each(training.scenarios(kind=kind, q=words or None))]

    def publish(self, scenario_id: object, *, scope: object, by: str) -> ScenarioView:
        """Use its draft."""
        del scope, by
        return view_of(ScenarioView, self._client.send(training.publish(str(scenario_id))))

    def versions(self, scenario_id: object, *, scope: object) -> list[VersionView]:
        """What was published, newest first."""
        del scope
        found = self._client.each(training.versions(str(scenario_id)))
        views = [view_of(VersionView, one, **_renamed(one)) for one in found]
        return sorted(views, key=lambda version: version.number, reverse=True)

    def roll_back(self, scenario_id: object, version: int, *, scope: object) -> ScenarioView:
        """Fill the draft with an old version."""
        del scope
        return view_of(ScenarioView, self._client.send(training.roll_back(str(scenario_id), version)))

    def delete(self, scenario_id: object, *, scope: object) -> None:
        """Remove a scenario."""
        del scope
        self._client.send(training.delete(str(scenario_id)))


class RemoteDirectories(Remote):
    """Folders of scenarios."""

    def add(self, name: str, *, scope: object) -> DirectoryView:
        """The folder of this name."""
        del scope
        return view_of(DirectoryView, self._client.send(training.add_directory(name)))


class RemoteExchange(Remote):
    """Scenarios as files."""

    def export(self, form: Form, *, scope: object) -> str:
        """Every scenario."""
        del scope
        return self._client.send(training.export(form))["text"]

    def import_file(self, text: str, form: Form, *, scope: object, by: str, is_rehearsal: bool = False) -> ImportReport:
        """Make scenarios what a file says."""
        del scope, by
        return view_of(ImportReport, self._client.send(training.import_file(text, form, dry_run=is_rehearsal)))


class RemoteLint(Remote):
    """What in training is in its own way."""

    def lint(self, *, scope: object) -> LintReport:
        """Look for it."""
        del scope
        return view_of(LintReport, self._client.send(training.lint()))


def _renamed(version: object) -> dict[str, object]:
    assert isinstance(version, dict)  # noqa: S101 - every answer is an object
    return {"number": version["version"], "created_at": version["published_at"]}


def _body(new: NewScenario) -> dict[str, Any]:
    """A scenario as the route takes it."""
    body: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(asdict(new), mode="json")
    return body
