"""Alerts, runbooks and dashboards speak of metrics that there are, in words that Prometheus understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # ships no type information

from pipeline import metrics
from tests.architecture.promql import NotPromQL, selectors
from tests.architecture.source import ROOT

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "deploy/dashboards").glob("*.json"))
}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
PARTS = ("", "_bucket", "_sum", "_count")
FROM_THE_SCRAPE = {"instance", "job", "le"}
SECTIONS = ("## What it means", "## Likely causes", "## Look", "## Do")


def _problems(expression: str) -> list[str]:
    """What an expression names that there is not."""
    found = []
    for selector in selectors(expression):
        whole = {name + part: metric for name, metric in metrics.ALL.items() for part in PARTS}
        metric = whole.get(selector.name)
        if metric is None or (selector.name != metric.name) != isinstance(metric, metrics.Histogram):
            found.append(selector.name)
        elif unknown := selector.labels - set(metric.labels) - FROM_THE_SCRAPE:
            found.append(f"{selector.name}{sorted(unknown)}")
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    """Its expression parses, its metrics and labels exist, and it says how urgent it is."""
    problems = _problems(rule["expr"])

    assert problems == []
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    """Whoever is called at night is told what it means, where to look and what to do."""
    runbook = ROOT / rule["annotations"]["runbook"]

    text = runbook.read_text()

    assert runbook == ROOT / f"deploy/runbooks/{rule['alert']}.md"
    assert text.startswith(f"# {rule['alert']}\n")
    assert all(section in text for section in SECTIONS)


def test_every_runbook_belongs_to_an_alert() -> None:
    """A page that no alert names is read by nobody."""
    pages = {path.stem for path in (ROOT / "deploy/runbooks").glob("*.md")}

    assert pages == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=[name for name, _ in PANELS])
def test_a_panel_asks_for_metrics_that_there_are(panel: dict[str, Any]) -> None:
    """Its expressions parse, and it asks whichever Prometheus the reader chose."""
    expressions = [target["expr"] for target in panel["targets"]]

    assert [problem for expression in expressions for problem in _problems(expression)] == []
    assert expressions
    assert panel["datasource"]["uid"] == "${datasource}"


def test_panels_have_a_place_of_their_own() -> None:
    """Ids are unique, and no two panels of a dashboard lie on each other."""
    for board in DASHBOARDS.values():
        cells = [
            (x, y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        ids = [panel["id"] for panel in board["panels"]]

        assert len(cells) == len(set(cells))
        assert len(ids) == len(set(ids))


def test_every_metric_is_looked_at() -> None:
    """What is measured stands on a dashboard."""
    shown = {
        selector.name.removesuffix("_bucket")
        for _, panel in PANELS
        for target in panel["targets"]
        for selector in selectors(target["expr"])
    }

    assert set(metrics.ALL) - shown == set()


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(rate(x[5m])",
        "rate(x)",
        "x[5m] > 1",
        "nothing(x)",
        "sum by x (y)",
        'x{a="b"',
        "x >",
        "histogram_quantile(0.9)) ",
    ],
)
def test_what_is_no_promql_is_told(wrong: str) -> None:
    """The reader of expressions refuses what Prometheus would."""
    with pytest.raises(NotPromQL):
        selectors(wrong)
