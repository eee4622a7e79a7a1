"""What arrives as a webhook is taken once, from who has the secret, in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from pipeline.client import DoubledDelivery, ForgedDelivery, WebhookVerifier
from pipeline.webhook_signature import is_signed, read_secret, sign, write_secret

SECRET, OTHER = write_secret(b"s" * 32), write_secret(b"t" * 32)
NOW = 1_800_000_000
BODY = json.dumps({"type": "crawl.completed", "timestamp": "2027-01-15T08:00:00Z", "data": {"new_pages": 2}}).encode()


def headers(*secrets: str, at: int = NOW, message: str = "msg_1", body: bytes = BODY) -> dict[str, str]:
    """As the specification's own library writes them."""
    moment = datetime.fromtimestamp(at, UTC)
    signatures = [Webhook(secret).sign(message, moment, body.decode()) for secret in secrets]
    return {"Webhook-Id": message, "Webhook-Timestamp": str(at), "Webhook-Signature": " ".join(signatures)}


def verifier(*secrets: str) -> WebhookVerifier:
    """At a moment of its own."""
    return WebhookVerifier(*(secrets or (SECRET,)), now=lambda: NOW)


def test_a_message_of_the_specifications_own_library_is_taken() -> None:
    """With its id, its event and its facts."""
    message = verifier().verify(headers(SECRET), BODY)

    assert (message.id, message.event, message.facts) == ("msg_1", "crawl.completed", {"new_pages": 2})


def test_a_message_is_taken_once() -> None:
    """Again it is a double, unless it could not be dealt with."""
    ours = verifier()
    message = ours.verify(headers(SECRET), BODY)

    with pytest.raises(DoubledDelivery):
        ours.verify(headers(SECRET, at=NOW + 5), BODY)
    ours.forget(message)

    assert ours.verify(headers(SECRET), BODY) == message


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_message_is_refused(seconds: int) -> None:
    """And one from the future: more than five minutes from now."""
    with pytest.raises(ForgedDelivery, match="time"):
        verifier().verify(headers(SECRET, at=NOW + seconds), BODY)


@pytest.mark.parametrize(
    "changed",
    [
        {"Webhook-Id": "msg_2"},
        {"Webhook-Timestamp": str(NOW + 1)},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v2,AAAA"},
        {"Webhook-Signature": "v1,ü"},
        {"Webhook-Timestamp": "²"},
        {"Webhook-Timestamp": "9" * 5_000},
        {"Webhook-Id": ""},
    ],
)
def test_a_changed_header_is_refused(changed: dict[str, str]) -> None:
    """Whatever it is changed to."""
    with pytest.raises(ForgedDelivery):
        verifier().verify(headers(SECRET) | changed, BODY)


def test_a_changed_body_and_another_secret_are_refused() -> None:
    """Byte for byte."""
    with pytest.raises(ForgedDelivery):
        verifier().verify(headers(SECRET), BODY + b" ")
    with pytest.raises(ForgedDelivery):
        verifier().verify(headers(OTHER), BODY)


def test_while_a_secret_is_rotated_either_is_good() -> None:
    """A receiver with the old one, with the new one, or with both."""
    both = headers(SECRET, OTHER)

    ids = {verifier(*known).verify(both, BODY).id for known in [(SECRET,), (OTHER,), (SECRET, OTHER)]}
    late = verifier(SECRET, OTHER).verify(headers(OTHER, message="msg_9"), BODY)

    assert (ids, late.id) == ({"msg_1"}, "msg_9")


def test_what_is_no_secret_is_refused() -> None:
    """Before anything is verified with it."""
    for text in ("whsec_", "whsec_not base64!"):
        with pytest.raises(ValueError, match="whsec_"):
            read_secret(text)


@given(st.binary(min_size=1, max_size=64), st.text(max_size=40), st.integers(0, 2**40), st.binary(max_size=200))
def test_only_its_own_secret_verifies(secret: bytes, message_id: str, seconds: int, body: bytes) -> None:
    """Any message under any secret verifies with it and with no other."""
    ident = message_id.encode("utf-8", "ignore").decode()
    signature = sign(secret, message_id=ident, seconds=seconds, body=body)

    assert is_signed(signature, read_secret(write_secret(secret)), message_id=ident, seconds=seconds, body=body)
    assert not is_signed(signature, secret + b"\1", message_id=ident, seconds=seconds, body=body)
