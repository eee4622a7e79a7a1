"""Serves the app: uvicorn on sockets of our own, in a thread or in the main one, ended cleanly."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from pipeline.errors import PortInUse
from pipeline.owner.safety import check_safe
from pipeline.settings import ApiSettings, Settings

BACKLOG = 2_048
GRACE_SECONDS = 5
"""How long requests may take to end once the server is told to."""

WAIT_SECONDS = 30.0


class Server:
    """An app that answers while this is entered; in a thread of its own.

    Args:
        app: What answers.
        settings: Where it listens, among all that must be safe for that.

    Raises:
        UnsafeSettings: If keys would travel unprotected.
        PortInUse: If another program listens there.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        check_safe(settings)
        self._settings = settings.api
        self._socket = _listening(settings.api.host, settings.api.port)
        self._uvicorn = uvicorn.Server(_configuration(app, settings.api))
        self._thread = threading.Thread(target=self._serve, name="api", daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._settings.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take nothing new, let requests end, and stop."""
        self._uvicorn.should_exit = True
        self._thread.join(WAIT_SECONDS)
        self._socket.close()

    def _serve(self) -> None:
        logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its steps are ours to tell
        with asyncio.Runner(loop_factory=self._uvicorn.config.get_loop_factory()) as runner:
            runner.run(self._uvicorn.serve(sockets=[self._socket]))


def _configuration(app: FastAPI, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortInUse(host=host, problem=error.strerror or "no such address") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise PortInUse(host=host, port=port, problem=error.strerror or "cannot be had") from error
    return opened
