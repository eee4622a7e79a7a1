"""What calls receivers nobody vouches for reaches none inside, whatever they are named and answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from itertools import repeat
from pathlib import Path
from threading import Event

import pytest

from pipeline.adapters.outbound import HEADER_LIMIT, OutboundClient, system_addresses
from pipeline.errors import AddressRefused, InvalidUrl, ReceiverUnavailable
from pipeline.settings import CrawlSettings
from tests.hostile.spellings import NAMES, OUTER, spell
from tests.lab import LabSite, Reply
from tests.lab.tls import self_signed

ONLY_THE_RECEIVER = CrawlSettings(allowed_addresses=(ip_network(f"{OUTER}/32"),))
SYSTEM = ssl.create_default_context()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Names:
    """A name server in a table; literals are themselves."""

    def __init__(self) -> None:
        self._answers = {name: list(answers) for name, answers in NAMES.items()}

    def __call__(self, host: str, port: int) -> list[str]:
        """The next answer for a name."""
        if host not in self._answers:
            return system_addresses(host, port) if ":" in host or host.replace(".", "").isdigit() else []
        answers = self._answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(scope="module")
def inner() -> Iterator[LabSite]:
    """A server inside, which nothing may reach."""
    with LabSite("127.0.0.1") as site:
        yield site
        assert site.connections == 0


@pytest.fixture
def receiver() -> Iterator[LabSite]:
    """A receiver that may be called."""
    with LabSite(OUTER) as site:
        yield site


def client(*, seconds: float = 10, body_limit: int = 1_000, trust: ssl.SSLContext | None = None) -> OutboundClient:
    """A client that may call the receiver, and resolves by the table."""
    return OutboundClient(
        ONLY_THE_RECEIVER,
        timeout=timedelta(seconds=seconds),
        body_limit=body_limit,
        trust=trust or SYSTEM,
        resolve=Names(),
        own=frozenset(),
    )


def test_no_spelling_reaches_inside(inner: LabSite) -> None:
    """Every spelling is refused before anything is connected, with the reason."""
    outcomes = {}
    for url in spell(inner.port, inner.port):
        caller = client()
        for _ in range(2):
            try:
                caller.post(url, b"{}")
            except (InvalidUrl, AddressRefused, ReceiverUnavailable) as error:
                outcomes[url] = type(error)

    allowed_to_fail = {url for url, kind in outcomes.items() if kind is ReceiverUnavailable}

    assert len(outcomes) == len(spell(inner.port, inner.port))
    assert allowed_to_fail == set()
    assert inner.connections == 0


def test_a_name_that_changes_its_mind_is_called_where_it_was_judged(receiver: LabSite, inner: LabSite) -> None:
    """The name is asked once a call, and the answer judged is the one connected to."""
    receiver.respond("/", body=b"thanks")
    caller = client()

    first = caller.post(receiver.at("rebind.test"), b"{}")

    assert (first.status, first.body) == (200, b"thanks")
    with pytest.raises(AddressRefused):
        caller.post(inner.at("rebind.test"), b"{}")


def test_a_call_arrives_as_it_was_made(receiver: LabSite) -> None:
    """Method, path, headers and the host by its name, and an answer with lower case headers."""
    receiver.respond("/hook?a=1", status=202, headers=[("X-Said", "yes")], body=b"kept")

    answer = client().post(f"{receiver.at('outer.test')}/hook?a=1", b'{"a":1}', headers={"Content-Type": "text/x"})

    (request,) = receiver.requests
    assert (request.method, request.target, request.host) == ("POST", "/hook?a=1", f"outer.test:{receiver.port}")
    assert request.headers["content-type"] == "text/x"
    assert request.headers["content-length"] == "7"
    assert (answer.status, answer.headers["x-said"], answer.body, answer.is_cut) == (202, "yes", b"kept", False)


def test_a_redirect_is_an_answer(receiver: LabSite, inner: LabSite) -> None:
    """Where a receiver points is not gone to."""
    receiver.redirect("/", f"{inner.url}/", status=307)

    answer = client().post(receiver.at("outer.test"), b"{}")

    assert answer.status == 307
    assert answer.headers["location"] == f"{inner.url}/"


def test_a_proxy_variable_is_not_read(receiver: LabSite, inner: LabSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections go where they were judged, whatever the environment says."""
    monkeypatch.setenv("http_proxy", inner.url)
    monkeypatch.setenv("all_proxy", inner.url)
    receiver.respond("/", body=b"direct")

    assert client().post(receiver.at("outer.test"), b"").body == b"direct"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"", pieces=repeat(b"x"), pause=0.05),
        Reply(raw=b"HTTP/1.1 200 OK\r\nX-Slow: ", pieces=repeat(b"x"), pause=0.05),
        Reply(hold=Event()),
    ],
    ids=["body", "headers", "silence"],
)
def test_a_receiver_that_drips_is_given_up(receiver: LabSite, reply: Reply) -> None:
    """The time for a call is for all of it, not for each byte."""
    receiver.answers("/", reply)

    with pytest.raises(ReceiverUnavailable, match="no whole answer"):
        client(seconds=0.5).post(receiver.at("outer.test"), b"{}")

    if reply.hold is not None:
        reply.hold.set()


def test_a_name_server_that_is_silent_is_given_up() -> None:
    """The system's resolver knows no deadline; a call has one."""
    silence = Event()

    def never(host: str, port: int) -> list[str]:
        del host, port
        silence.wait()
        return []

    with pytest.raises(ReceiverUnavailable, match="within"):
        OutboundClient(ONLY_THE_RECEIVER, timeout=timedelta(seconds=0.2), resolve=never).post("http://a.test/", b"")

    silence.set()


@pytest.mark.parametrize(
    ("reply", "is_cut"),
    [
        (Reply(200, b"x" * 1_000), False),
        (Reply(200, b"x" * 1_001), True),
        (Reply(200, b"x" * 5_000_000), True),
        (Reply(200, b"", pieces=repeat(b"x" * 10_000)), True),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 1_000), True),
        (Reply(raw=CHUNKED + b"3e8\r\n" + b"x" * 1_000 + b"\r\n0\r\n\r\n"), False),
        (Reply(raw=CHUNKED + b"3e8\r\n" + b"x" * 1_000 + b"\r\nzz\r\n"), True),
        (Reply(raw=CHUNKED, pieces=repeat(b"1\r\nx\r\n" * 1_000)), True),
    ],
    ids=["at the limit", "over", "far over", "endless", "cut short", "chunks", "broken chunks", "endless chunks"],
)
def test_no_more_of_an_answer_is_read_than_the_limit(receiver: LabSite, reply: Reply, is_cut: bool) -> None:  # noqa: FBT001 - a case of the table
    """A long answer is cut, not refused: what counts is that it came."""
    receiver.answers("/", reply)

    answer = client().post(receiver.at("outer.test"), b"{}")

    assert answer.status == 200
    assert set(answer.body) == {ord("x")}
    assert len(answer.body) == 1_000
    assert answer.is_cut is is_cut


@pytest.mark.parametrize(
    "raw",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * (2 * HEADER_LIMIT) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"",
    ],
    ids=["no http", "a long header", "many headers", "endless interim answers", "nothing"],
)
def test_what_is_no_answer_is_none(receiver: LabSite, raw: bytes) -> None:
    """Garbage and floods end the call; the receiver is tried again later."""
    receiver.answers("/", Reply(raw=raw))

    with pytest.raises(ReceiverUnavailable):
        client(body_limit=0).post(receiver.at("outer.test"), b"{}")


def test_a_receiver_that_is_not_there_is_unavailable(receiver: LabSite) -> None:
    """A closed port and a name without addresses are told apart."""
    with socket.create_server((OUTER, 0)) as server:
        closed = server.getsockname()[1]

    with pytest.raises(ReceiverUnavailable, match="refused"):
        client().post(f"http://outer.test:{closed}/", b"")
    with pytest.raises(ReceiverUnavailable, match="no such host"):
        client().post(f"http://nowhere.test:{receiver.port}/", b"")


def test_a_certificate_is_checked_against_the_name(tmp_path: Path) -> None:
    """A certificate that nobody vouches for, or that is another host's, ends the call before anything is sent."""
    with LabSite(OUTER, tls=self_signed(tmp_path, OUTER)) as site:
        site.respond("/", body=b"secret")
        trust = ssl.create_default_context(cafile=tmp_path / "site.pem")

        assert client(trust=trust).post(site.url, b"").body == b"secret"
        with pytest.raises(ReceiverUnavailable, match="certificate"):
            client().post(site.url, b"")
        with pytest.raises(ReceiverUnavailable, match="certificate"):
            client(trust=trust).post(site.at("outer.test"), b"")
        assert len(site.requests) == 1


def test_headers_cannot_carry_a_second_request(receiver: LabSite) -> None:
    """Line breaks in a header are a defect of the caller, and nothing is sent."""
    with pytest.raises(ValueError, match="header"):
        client().post(receiver.at("outer.test"), b"", headers={"X-Name": "a\r\nHost: b"})

    assert receiver.requests == []


def test_a_refused_receiver_is_refused_before_it_is_stored() -> None:
    """Registering a webhook needs no name server to refuse an inner address."""
    with pytest.raises(AddressRefused):
        OutboundClient(CrawlSettings()).check("https://127.1/hook")

    OutboundClient(CrawlSettings()).check("https://hooks.example.com/sitewise")
