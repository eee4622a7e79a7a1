"""Calls addresses that customers gave us, such as webhooks, and never one inside our own network.

A name is resolved once; every address it has is judged, and the connection goes to a judged address
itself, so a name that answers differently the next time gains nothing. Redirects are answers, proxies
are not read from anywhere, certificates are checked against the name, and everything is bounded.
"""

from __future__ import annotations

import io
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from ipaddress import IPv6Address, ip_address
from time import monotonic
from types import TracebackType
from typing import Self

from pipeline.addresses import IPAddress, check_address, check_url, own_addresses
from pipeline.errors import ReceiverUnavailable
from pipeline.settings import CrawlSettings
from pipeline.urls import UrlParts, split

HEADER_LIMIT = 64 * 2**10
"""Bytes of an answer's status line and headers."""

_STEP = 16 * 2**10

Resolve = Callable[[str, int], Sequence[str]]
"""Turns a host and a port into address literals; raises `OSError` when there are none."""


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """What a receiver answered. Header names are lower case, the last of each name stands.

    `body` is as it came, never unpacked, and at most as long as the client's limit; `is_cut` tells
    that there was more, or that the receiver broke off.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False


def system_addresses(host: str, port: int) -> list[str]:
    """What the system resolves a host to; literals are themselves."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class OutboundClient:
    """A small HTTP client for addresses nobody vouches for. Threads may share it."""

    def __init__(
        self,
        settings: CrawlSettings,
        *,
        timeout: timedelta = timedelta(seconds=10),
        body_limit: int = 64 * 2**10,
        trust: ssl.SSLContext | None = None,
        resolve: Resolve = system_addresses,
        own: Collection[IPAddress] | None = None,
    ) -> None:
        """Call what a crawl with these settings may reach.

        Args:
            settings: Whose networks and ports are allowed, as for crawls.
            timeout: For one call in all: name, connection, handshake, request and answer.
            body_limit: Bytes of an answer's body that are read.
            trust: Whose certificates are believed; by default those the system believes.
            resolve: Resolves names.
            own: This machine's addresses; by default those the system lists.
        """
        self._settings = settings
        self._seconds = timeout.total_seconds()
        self._body_limit = body_limit
        self._trust = trust or ssl.create_default_context()
        self._resolve = resolve
        self._own = own_addresses() if own is None else own

    def check(self, url: str) -> None:
        """Refuse, before it is stored, a URL that names what a call would refuse; names are not resolved.

        Raises:
            InvalidUrl: If it is not an http or https URL, or names a user.
            AddressRefused: If it names an inner address, a local name or a refused port.
        """
        check_url(url, self._settings)

    def reach(self, url: str) -> None:
        """Connect to a URL's host, with the handshake if it has one, and hang up: nothing is asked.

        Raises:
            InvalidUrl: If the URL is none.
            AddressRefused: If any address of its host is refused; nothing was connected.
            ReceiverUnavailable: If the host is not there, or takes no connection.
        """
        self.check(url)
        parts = split(url)
        deadline = _Deadline(monotonic() + self._seconds)
        try:
            with self._connected(parts, self._addresses(parts, deadline), deadline):
                pass
        except OSError as error:
            raise ReceiverUnavailable(host=parts.netloc, problem=_words(error, self._seconds)) from error

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> OutboundAnswer:
        """POST a body.

        Raises:
            InvalidUrl: If the URL is none.
            AddressRefused: If any address of its host is refused; nothing was connected.
            ReceiverUnavailable: If no answer came in time.
        """
        return self.request("POST", url, body=body, headers=headers)

    def request(
        self, method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> OutboundAnswer:
        """Make one request on one connection; a redirect is an answer like any other.

        Raises:
            InvalidUrl: If the URL is none.
            AddressRefused: If any address of its host is refused; nothing was connected.
            ReceiverUnavailable: If no answer came in time.
        """
        self.check(url)
        parts = split(url)
        deadline = _Deadline(monotonic() + self._seconds)
        try:
            addresses = self._addresses(parts, deadline)
            with self._connected(parts, addresses, deadline) as wire:
                return self._exchange(wire, method, parts, body, headers or {})
        except (OSError, HTTPException) as error:
            raise ReceiverUnavailable(host=parts.netloc, problem=_words(error, self._seconds)) from error

    def _addresses(self, parts: UrlParts, deadline: _Deadline) -> list[str]:
        """Where a host may be reached; one refused address refuses the whole name."""
        addresses = list(_within(deadline, self._resolve, parts.host, parts.port))
        for address in addresses:
            check_address(
                address,
                parts.port,
                allowed=self._settings.allowed_addresses,
                ports=self._settings.allowed_ports,
                own=self._own,
            )
        if not addresses:
            raise OSError("no such host")
        return addresses

    def _connected(self, parts: UrlParts, addresses: Sequence[str], deadline: _Deadline) -> _Wire:
        """A connection to the first address that takes one."""
        problem: OSError | None = None
        for address in addresses:
            family = socket.AF_INET6 if isinstance(ip_address(address), IPv6Address) else socket.AF_INET
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.settimeout(deadline.left())
                plain.connect((address, parts.port))
            except OSError as error:
                plain.close()
                problem = error
                continue
            return self._secured(plain, parts, deadline)
        raise problem or OSError("no such host")

    def _secured(self, plain: socket.socket, parts: UrlParts, deadline: _Deadline) -> _Wire:
        if parts.scheme == "http":
            return _Wire(plain, deadline)
        try:
            plain.settimeout(deadline.left())
            return _Wire(self._trust.wrap_socket(plain, server_hostname=parts.host), deadline)
        except BaseException:
            plain.close()
            raise

    def _exchange(
        self, wire: _Wire, method: str, parts: UrlParts, body: bytes, headers: Mapping[str, str]
    ) -> OutboundAnswer:
        connection = _Connection(parts.host, parts.port)
        connection.sock = wire
        own = {
            "Host": parts.netloc,
            "User-Agent": self._settings.user_agent,
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Length": str(len(body)),
        }
        named = {name.lower() for name in headers}
        own = {name: value for name, value in own.items() if name == "Host" or name.lower() not in named}
        connection.request(method, parts.target, body, own | dict(headers))
        response = connection.getresponse()
        wire.received.begin_body(HEADER_LIMIT + 2 * self._body_limit)  # chunks have headers too
        answered = {name.lower(): value for name, value in response.getheaders()}
        content, is_cut = _read(response, self._body_limit)
        return OutboundAnswer(response.status, answered, content, is_cut=is_cut)


class _Connection(HTTPConnection):
    """Speaks over the wire it is given, and opens none."""

    def connect(self) -> None:
        raise HTTPException("the receiver closed the connection")


class _Deadline:
    """A moment by which everything has to be over."""

    def __init__(self, end: float) -> None:
        self._end = end

    def left(self) -> float:
        """Seconds left, always some.

        Raises:
            TimeoutError: If none are.
        """
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Wire:
    """A socket as `http.client` uses one, bounded in time and in bytes received."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self.received = _Received(connected, deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def sendall(self, sent: bytes) -> None:
        """Send all of it in time."""
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(sent)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What is received, to read from; asked for once."""
        del mode
        return io.BufferedReader(self.received, _STEP)

    def close(self) -> None:
        """Nothing yet: the answer is still read after `http.client` has closed its side."""


class _Received(io.RawIOBase):
    """The bytes a socket brings, in time: headers up to a limit, then a body that ends at one."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._socket = connected
        self._deadline = deadline
        self._left = HEADER_LIMIT
        self._is_body = False

    def begin_body(self, limit: int) -> None:
        """The headers are over; so many bytes may follow."""
        self._is_body = True
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub allows any buffer
        self._socket.settimeout(self._deadline.left())
        if not self._left and not self._is_body:
            raise HTTPException(f"headers over {HEADER_LIMIT} bytes")
        received = self._socket.recv_into(buffer[: self._left]) if self._left else 0
        self._left -= received
        return received


def _read(response: HTTPResponse, limit: int) -> tuple[bytes, bool]:
    """A body up to the limit, and whether there was more of it than came."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= limit and (piece := response.read(min(_STEP, limit + 1 - size))):
            pieces.append(piece)
            size += len(piece)
    except IncompleteRead as broken:
        pieces.append(broken.partial)
        return b"".join(pieces)[:limit], True
    promised = response.length or 0
    return b"".join(pieces)[:limit], size > limit or promised > 0


def _within(deadline: _Deadline, resolve: Resolve, host: str, port: int) -> Sequence[str]:
    """Resolve in a thread, because the system's resolver knows no deadline."""
    answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _words(error: OSError | HTTPException, seconds: float) -> str:
    """What went wrong, for the person who owns the receiver."""
    if isinstance(error, TimeoutError):
        return f"no whole answer within {seconds:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate error: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__
