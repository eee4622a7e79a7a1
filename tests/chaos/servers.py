"""PostgreSQL, Redis and Qdrant of a run's own, to be frozen, killed and started again on the same ports."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deploy.services import native
from deploy.services.record import FOLDER, PROBES
from tests.lab.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

READY_SECONDS = 60


class Server:
    """One server program with its data in a folder; entered, it runs and answers.

    Args:
        name: `postgres`, `redis` or `qdrant`.
        url: Where it answers.
        command: How it is started, every time.
        place: Its folder, and the account it runs under.
        variables: Its environment.
    """

    def __init__(
        self,
        name: str,
        url: str,
        command: Sequence[str],
        place: native.Place,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.url = name, url
        self._command, self._place, self._variables = command, place, variables or {}
        self._program: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._place.folder / "log").open("ab") as log:
            self._program = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                cwd=self._place.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], **self._variables},
                start_new_session=True,
                user=self._place.user,
                group=self._place.group,
                extra_groups=None if self._place.user is None else (),
            )
        eventually(self.answers, seconds=READY_SECONDS, what=f"{self.name} answers")

    def answers(self) -> bool:
        """Whether it serves now."""
        try:
            PROBES[self.name](self.url)
        except Exception:  # noqa: BLE001 - whatever a client says, the server is not there
            return False
        return True

    def freeze(self) -> None:
        """SIGSTOP, with all its processes: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL, with all its processes, frozen or not."""
        self._signal(signal.SIGKILL)
        if self._program is not None:
            self._program.wait()
            self._program = None

    def _signal(self, number: signal.Signals) -> None:
        if self._program is None:
            return
        parent = psutil.Process(self._program.pid)
        for one in [parent, *parent.children(recursive=True)]:
            try:
                one.send_signal(number)
            except psutil.NoSuchProcess:
                continue


@contextmanager
def own_servers() -> Iterator[dict[str, Server]]:
    """One of each, started; they and what they kept are gone after."""
    folder = Path(tempfile.mkdtemp(prefix="sitewise-chaos-"))
    folder.chmod(0o755)
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = {make.__name__.strip("_"): make(folder) for make in (_postgres, _redis, _qdrant)}
        for server in servers.values():
            opened.callback(server.kill)
            server.start()
        yield servers


def _place(folder: Path, name: str) -> native.Place:
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    own = folder / name
    own.mkdir(mode=0o700)
    place = native.Place(own, account.pw_uid, account.pw_gid) if account else native.Place(own)
    place.give(own)
    return place


def _postgres(folder: Path) -> Server:
    binaries = native._postgres_binaries()  # noqa: SLF001 - the one place that knows where Debian keeps them
    assert binaries is not None, "PostgreSQL is not installed"
    place, port = _place(folder, "postgres"), native._free_port()  # noqa: SLF001 - as above
    base = str(place.folder / "base")
    settings = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=sitewise", "--no-sync"]
    place.run([str(binaries / "initdb"), *settings, f"--pgdata={base}"])
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 100,
        "fsync": "off",  # what the kernel has, it keeps: processes are killed here, not the machine
    }
    command = [str(binaries / "postgres"), "-D", base, *(f"--{key}={value}" for key, value in options.items())]
    return Server("postgres", f"postgresql+psycopg://sitewise@127.0.0.1:{port}/postgres", command, place)


def _redis(folder: Path) -> Server:
    """Without persistence: killed, it has forgotten every hint."""
    program = shutil.which("redis-server")
    assert program is not None, "Redis is not installed"
    place, port = _place(folder, "redis"), native._free_port()  # noqa: SLF001 - as above
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(place.folder)]
    options += ["--appendonly", "no", "--save", ""]
    return Server("redis", f"redis://127.0.0.1:{port}", [program, *options], place)


def _qdrant(folder: Path) -> Server:
    place, http, grpc = _place(folder, "qdrant"), native._free_port(), native._free_port()  # noqa: SLF001 - as above
    assert shutil.which("qdrant") or (FOLDER / native.QDRANT_ARCHIVE).exists(), "see `make services`"
    program = shutil.which("qdrant") or str(native._unpack_qdrant(place))  # noqa: SLF001 - as above
    variables = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__STORAGE__STORAGE_PATH": str(place.folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(place.folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    return Server("qdrant", f"http://127.0.0.1:{http}", [program], place, variables)
