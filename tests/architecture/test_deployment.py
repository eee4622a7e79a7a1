"""What Sitewise is deployed with is valid, names what there is, opens nothing to the public, and holds no secret."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import typer
import yaml  # type: ignore[import-untyped] # it ships no types

from deploy.setup.settings_reference import render
from pipeline import metrics
from pipeline.cli.app import app
from tests.architecture.deployment import (
    DEPLOY,
    EXAMPLE,
    SCHEMAS,
    commands,
    compose,
    dockerfile,
    manifests,
    pods,
    settings,
    units,
)
from tests.architecture.promql import selectors
from tests.architecture.source import ROOT
from workers import run

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMMANDS = dict(commands())
PODS = pods()
UNITS = units()
OURS = {name: service for name, service in compose()["services"].items() if service["image"].startswith("sitewise:")}
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+[\w.-]*$")


def _by_kind() -> list[Any]:
    return [pytest.param(one, id=f"{one['kind']} {one['metadata']['name']}") for one in manifests()]


@pytest.mark.parametrize("manifest", _by_kind())
def test_a_manifest_is_what_kubernetes_takes(manifest: dict[str, Any]) -> None:
    """By the strict schema of its kind: an unknown field is a mistake. KEDA's own kind is looked at below."""
    schemas = json.loads((SCHEMAS / "kubernetes.json").read_text())["$defs"]
    name = f"{manifest['apiVersion']}.{manifest['kind']}".replace("/", ".")

    if manifest["kind"] == "ScaledObject":
        assert manifest["apiVersion"] == "keda.sh/v1alpha1"
    else:
        schema = {"$ref": f"#/$defs/{name}", "$defs": schemas}
        assert [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(manifest)] == []
    assert manifest["kind"] == "Namespace" or manifest["metadata"]["namespace"] == "sitewise"


def test_a_manifest_with_a_mistake_is_refused() -> None:
    """The schemas bite: a misspelt field is told."""
    schemas = json.loads((SCHEMAS / "kubernetes.json").read_text())["$defs"]
    wrong = manifests(kind="Deployment")[0]
    wrong["spec"]["template"]["spec"]["containers"][0]["commands"] = ["true"]

    errors = list(
        jsonschema_rs.validator_for({"$ref": "#/$defs/apps.v1.Deployment", "$defs": schemas}).iter_errors(wrong)
    )

    assert any("commands" in error.message for error in errors)


def test_kustomize_is_told_of_every_file() -> None:
    """All but the example, which holds no values."""
    folder = DEPLOY / "kubernetes"
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]

    assert sorted([*told, EXAMPLE, "kustomization.yaml"]) == sorted(path.name for path in folder.glob("*.yaml"))


def test_the_compose_file_is_what_compose_takes() -> None:
    """By the Compose Specification."""
    schema = json.loads((SCHEMAS / "compose.json").read_text())

    errors = jsonschema_rs.validator_for(schema).iter_errors(compose())

    assert [error.message for error in errors] == []


@pytest.mark.parametrize("place", COMMANDS)
def test_a_role_starts_by_a_command_that_there_is(place: str) -> None:
    """Our own parsers take every word of it."""
    words = [word.rpartition("/")[2] for word in COMMANDS[place]]

    if words[0] == "sitewise":
        command: Any = typer.main.get_command(app)
        for word in words[1:]:
            command = command.commands[word]
        assert not hasattr(command, "commands")
    else:
        assert words[:3] == ["python", "-m", "workers.run"]
        assert run.plan(run.options_of(words[3:]))


def test_every_queue_has_a_worker_everywhere() -> None:
    """And somebody beats, serves, and brings the tables up."""
    for where in ("compose", "kubernetes", "systemd"):
        told = " ".join(word for place, words in COMMANDS.items() if place.startswith(where) for word in words)

        assert [f"--queues={queue}" in told for queue in run.QUEUES] == [True] * 3
        assert "--queues=upkeep --beat" in told
        assert "sitewise serve" in told
        assert "sitewise db upgrade" in told


def test_every_setting_in_the_files_exists() -> None:
    """As the reference has it."""
    reference = set(re.findall(r"`(SITEWISE_[A-Z_]+)`", render()))
    elsewhere = {"SITEWISE_TEST_POSTGRES_URL", "SITEWISE_EVAL_DATA", "SITEWISE_SERVER", "SITEWISE_KEY"}

    assert len(settings()) > 10
    assert settings() - reference - elsewhere == set()


def test_images_are_pinned() -> None:
    """By a version; ours by this one."""
    images = [service["image"] for service in compose()["services"].values()]
    images += [pod["spec"]["containers"][0]["image"] for pod in PODS.values()]
    images += [rest.split()[0] for word, rest in dockerfile() if word == "FROM"]

    assert [image for image in images if not PINNED.match(image)] == []
    assert {image for image in images if image.startswith("sitewise:")} == {f"sitewise:{VERSION}"}


def test_no_file_holds_a_secret() -> None:
    """What is secret has a name here and its value elsewhere."""
    examples = [*DEPLOY.glob("*.env.example"), *DEPLOY.glob("systemd/*.env.example")]
    lines = [line for path in examples for line in path.read_text().splitlines() if line and not line.startswith("#")]
    secret = next(one for one in manifests(kind="Secret"))
    named = [
        value
        for service in compose()["services"].values()
        for name, value in service.get("environment", {}).items()
        if re.search("PASSWORD|KEY|__URL", name) and "QDRANT_URL" not in name
    ]

    assert len(examples) == 2
    assert [line for line in lines if not line.endswith("=")] == []
    assert set(secret["stringData"].values()) == {""}
    assert [value for value in named if ":?set it in compose.env}" not in value] == []
    assert "/deploy/compose.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_nothing_is_opened_to_the_public() -> None:
    """Compose publishes on loopback, Kubernetes inside the cluster, systemd's units nothing at all."""
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    kinds = {one["spec"].get("type", "ClusterIP") for one in manifests(kind="Service")}
    specs = [pod["spec"] for pod in PODS.values()]
    hosts = {unit["Service"].get("Environment", "") for unit in UNITS.values()}

    assert published == ["127.0.0.1:8000:8000"]
    assert kinds == {"ClusterIP"}
    assert [spec for spec in specs if spec.get("hostNetwork") or "hostPort" in json.dumps(spec)] == []
    assert [host for host in hosts if "__HOST" in host] == []
    assert compose()["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_rights_it_does_not_need(name: str) -> None:
    """Not root, nothing to write but its own folders, no token, bounded memory."""
    spec = PODS[name]["spec"]
    container = spec["containers"][0]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}


@pytest.mark.parametrize("deployment", manifests(kind="Deployment"), ids=lambda one: str(one["metadata"]["name"]))
def test_a_deployment_is_watched_and_ends_gracefully(deployment: dict[str, Any]) -> None:
    """Probes, time to end, and a budget for disruptions that finds its pods."""
    pod = deployment["spec"]["template"]
    budgets = [one["spec"]["selector"]["matchLabels"] for one in manifests(kind="PodDisruptionBudget")]

    assert {"startupProbe", "livenessProbe"} <= set(pod["spec"]["containers"][0])
    assert pod["spec"]["terminationGracePeriodSeconds"] >= 20
    assert pod["metadata"]["labels"] in budgets
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]


def test_workers_are_scaled_by_the_age_of_what_waits() -> None:
    """Crawl and index workers, by a metric that there is, each with a lower and an upper end."""
    scaled = manifests(kind="ScaledObject")
    deployments = {one["metadata"]["name"]: one for one in manifests(kind="Deployment")}

    for one in scaled:
        (trigger,) = one["spec"]["triggers"]
        (asked,) = selectors(trigger["metadata"]["query"])
        assert asked.name == metrics.QUEUE_OLDEST_SECONDS.name
        assert "replicas" not in deployments[one["spec"]["scaleTargetRef"]["name"]]["spec"]
        assert 1 <= one["spec"]["minReplicaCount"] < one["spec"]["maxReplicaCount"]
    assert [one["metadata"]["name"] for one in scaled] == ["sitewise-crawl", "sitewise-index"]


@pytest.mark.parametrize("name", OURS)
def test_a_container_has_no_rights_it_does_not_need(name: str) -> None:
    """Nothing to write but its volume, no capability, and time to end."""
    service = OURS[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "stop_grace_period" in service or name == "migrate"


def test_the_broker_keeps_what_it_has() -> None:
    """Redis writes a log, and throws nothing out when it is full."""
    command = " ".join(compose()["services"]["redis"]["command"])

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_image_runs_as_nobody_in_particular() -> None:
    """A user of its own, a look whether it lives, and every folder that it is built from."""
    instructions = dockerfile()
    words = dict(instructions)
    copied = [
        part for word, rest in instructions if word == "COPY" and "--from" not in rest for part in rest.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert words["USER"] == "10001:10001"
    assert "/live" in words["HEALTHCHECK"]
    assert [part for part in copied if not (ROOT / part).exists()] == []
    assert [part for part in copied if f"!{part}" not in {line.rstrip("/") for line in ignored}] == []


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_hardened_and_started_again(name: str) -> None:
    """A user of its own, a file system that it cannot write, and a restart after any end."""
    service = UNITS[name]["Service"]

    assert (service["User"], service["NoNewPrivileges"], service["ProtectSystem"]) == ("sitewise", "yes", "strict")
    assert service["CapabilityBoundingSet"] == ""
    assert service["Type"] == "oneshot" or service["Restart"] == "always"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """By its own judgement where it is installed; that every line is a directive of a section, anywhere."""
    for path in (DEPLOY / "systemd").iterdir():
        text = (
            path.read_text()
            .replace("file:/opt/sitewise", "file:/usr/share/doc")
            .replace("EnvironmentFile=/", "EnvironmentFile=-/")
        )
        (tmp_path / path.name).write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    names = sorted(path.name for path in tmp_path.iterdir() if path.suffix in {".service", ".target"})
    program = shutil.which("systemd-analyze")
    judged = "" if program is None else _verify(program, tmp_path, names)

    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines() if line]

    assert len(names) == 6
    assert [line for line in lines if not re.match(r"^(\[(Unit|Service|Install)\]|[A-Z]\w+=.*)$", line)] == []
    assert judged == ""


def _verify(program: str, folder: Path, names: list[str]) -> str:
    """What systemd has to say against the units; it knows no instance of a template by its file."""
    done = subprocess.run(  # noqa: S603 - systemd's own program
        [program, "verify", "--man=no", *(name.replace("@.", "@1.") for name in names)],
        cwd=folder,
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
        text=True,
    )
    ours = [line for line in done.stderr.splitlines() if "sitewise" in line]
    return "\n".join(ours)
