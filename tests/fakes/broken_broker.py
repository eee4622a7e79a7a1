"""A broker that takes a connection and breaks it off at the first question, as one that is killed then does."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_COMMAND = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Z]+)", re.IGNORECASE)
_QUESTIONS = {b"EXISTS", b"LLEN"}
_ANSWERS = {b"PING": b"+PONG\r\n", b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}


@contextmanager
def broken_broker() -> Iterator[str]:
    """Its address, for as long as it is there. It greets as Redis does; who asks what lies in a queue is cut off."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=_accept, args=(server,), daemon=True)
        accepting.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _accept(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_greet, args=(connection,), daemon=True).start()


def _greet(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while said := connection.recv(4096):
            commands = [command.upper() for command in _COMMAND.findall(said)]
            if _QUESTIONS & set(commands):
                return
            connection.sendall(b"".join(_ANSWERS.get(command, b"+OK\r\n") for command in commands))
