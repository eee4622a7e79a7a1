"""What runs: a server's address and how to end it, kept in `.services/` between commands."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
from redis import Redis, RedisError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".services"
RECORD = FOLDER / "running.json"
ENVIRONMENT = FOLDER / "env"
GRACE_SECONDS = 10


class ServiceUnavailable(Exception):
    """A server could not be started; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: a process (`pid`, with its start time against reuse, and its `folder`) or a container."""

    name: str
    url: str
    pid: int | None = None
    started: float | None = None
    folder: str | None = None
    engine: str | None = None
    container: str | None = None

    def answers(self) -> bool:
        """Whether it serves requests now."""
        try:
            PROBES[self.name](self.url)
        except (psycopg.Error, RedisError, httpx.HTTPError):
            return False
        return True

    def stop(self) -> None:
        """End it and delete what it kept; one that has ended already is fine."""
        if self.engine and self.container:
            subprocess.run([self.engine, "rm", "--force", self.container], check=False, capture_output=True)  # noqa: S603 - our own container
        if self.pid:
            _end(self.pid, self.started)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _end(pid: int, started: float | None) -> None:
    """Ask the process to end, then insist; another that got its number is left alone."""
    try:
        process = psutil.Process(pid)
        if process.create_time() != started:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
    except psutil.NoSuchProcess:
        return


def _probe_postgres(url: str) -> None:
    psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2).close()


def _probe_redis(url: str) -> None:
    with Redis.from_url(url, socket_timeout=2) as client:
        client.ping()


def _probe_qdrant(url: str) -> None:
    httpx.get(f"{url}/readyz", timeout=2).raise_for_status()


PROBES: dict[str, Callable[[str], None]] = {
    "postgres": _probe_postgres,
    "redis": _probe_redis,
    "qdrant": _probe_qdrant,
}


def read_servers() -> dict[str, Server]:
    """The servers started before, by name; they may have ended since."""
    if not RECORD.exists():
        return {}
    return {entry["name"]: Server(**entry) for entry in json.loads(RECORD.read_text())}


def write_servers(servers: dict[str, Server]) -> None:
    """Keep what runs, and tell people and tests where it is."""
    FOLDER.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps([asdict(server) for server in servers.values()], indent=1))
    ENVIRONMENT.write_text("".join(f"export {variable(server.name)}='{server.url}'\n" for server in servers.values()))


def variable(name: str) -> str:
    """The environment variable in which tests look for a server."""
    return f"SITEWISE_TEST_{name.upper()}_URL"
