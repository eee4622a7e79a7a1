"""Servers in containers, where docker or podman answers."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field

from deploy.services.record import Server, ServiceUnavailable

READY_SECONDS = 90
PULL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Image:
    """What to run for one server, and where it listens inside."""

    name: str
    port: int
    address: str
    variables: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()


def find_engine() -> str | None:
    """A container engine that answers, or None."""
    for engine in ("docker", "podman"):
        if shutil.which(engine) and _run(engine, "info", seconds=15) is not None:
            return engine
    return None


def start_container(engine: str, name: str) -> Server:
    """Start one server on a free loopback port and return it once it answers.

    Raises:
        ServiceUnavailable: If the image cannot be had or the server does not come up.
    """
    image = _images()[name]
    variables = [f"--env={key}={value}" for key, value in image.variables.items()]
    options = ["--detach", "--rm", f"--publish=127.0.0.1::{image.port}", *variables]
    container = _run(engine, "run", *options, image.name, *image.command, seconds=PULL_SECONDS)
    if not container:
        raise ServiceUnavailable(f"{engine} could not run {image.name}")
    bound = _run(engine, "port", container, f"{image.port}/tcp", seconds=15) or ""
    url = image.address.format(port=bound.splitlines()[0].rpartition(":")[2], **image.variables) if bound else ""
    server = Server(name, url, engine=engine, container=container)
    until = time.monotonic() + READY_SECONDS
    pause = threading.Event()
    while not (url and server.answers()):
        if not url or time.monotonic() > until:
            server.stop()
            raise ServiceUnavailable(f"{name} in {engine} did not come up")
        pause.wait(0.1)
    return server


def _images() -> dict[str, Image]:
    password = secrets.token_hex(16)
    return {
        "postgres": Image(
            "docker.io/library/postgres:15-alpine",
            5432,
            "postgresql+psycopg://{POSTGRES_USER}:{POSTGRES_PASSWORD}@127.0.0.1:{port}/postgres",
            {"POSTGRES_USER": "sitewise", "POSTGRES_PASSWORD": password},
            ("postgres", "-c", "fsync=off", "-c", "max_connections=200"),
        ),
        "redis": Image(
            "docker.io/library/redis:7-alpine",
            6379,
            "redis://127.0.0.1:{port}",
            command=("redis-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--databases", "64"),
        ),
        "qdrant": Image(
            "docker.io/qdrant/qdrant:v1.16.3",
            6333,
            "http://127.0.0.1:{port}",
            {"QDRANT__TELEMETRY_DISABLED": "true"},
        ),
    }


def _run(*command: str, seconds: float) -> str | None:
    """A command's output, or None when it failed or took too long."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds)  # noqa: S603 - our own command
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
