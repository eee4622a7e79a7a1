"""The files that say where Sitewise runs, as the tests read them: objects, commands, settings."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # it ships no types

from tests.architecture.source import ROOT

DEPLOY = ROOT / "deploy"
SCHEMAS = ROOT / "tests/architecture/schemas"
EXAMPLE = "secret.example.yaml"
Object = dict[str, Any]


def compose() -> Object:
    """The compose file."""
    read: Object = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def manifests(*, kind: str | None = None) -> list[Object]:
    """Kubernetes objects, all or those of one kind; what kustomize is told is not among them."""
    files = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.name != "kustomization.yaml"]
    found = [one for path in files for one in yaml.safe_load_all(path.read_text())]
    return [one for one in found if kind in {None, one["kind"]}]


def pods() -> dict[str, Object]:
    """The pods that deployments and jobs start, by name."""
    owners = [*manifests(kind="Deployment"), *manifests(kind="Job")]
    return {owner["metadata"]["name"]: owner["spec"]["template"] for owner in owners}


def units() -> dict[str, configparser.ConfigParser]:
    """Systemd's units by name. Of a directive given more than once, the last is kept."""
    found = {}
    for path in sorted((DEPLOY / "systemd").glob("sitewise*.service")):
        read = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        read.optionxform = str  # type: ignore[assignment,method-assign] # directives have capitals
        read.read_string(path.read_text())
        found[path.stem] = read
    return found


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile: word and rest, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours: where it stands, and its words from `sitewise` or `workers.run` on."""
    for name, service in compose()["services"].items():
        if str(service.get("image", "")).startswith("sitewise:"):
            yield f"compose {name}", service["command"]
    for name, pod in pods().items():
        yield f"kubernetes {name}", pod["spec"]["containers"][0]["command"]
    for name, unit in units().items():
        yield f"systemd {name}", shlex.split(unit["Service"]["ExecStart"].replace("%i", "1"))
    yield "Dockerfile", json.loads(dict(dockerfile())["CMD"])


def settings() -> set[str]:
    """Every setting that one of the files names."""
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and _is_configuration(path)]
    return {name for text in texts for name in re.findall(r"\bSITEWISE_[A-Z][A-Z_]*[A-Z]\b", text)}


def _is_configuration(path: Path) -> bool:
    if path.suffix == ".py" or "decisions" in path.parts:
        return False
    return path.suffix in {".yaml", ".service", ".example", ".md"} or path.name == "Dockerfile"
