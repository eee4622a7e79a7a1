"""Signatures of webhooks by the Standard Webhooks specification, version 1: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hmac

PREFIX = "whsec_"
VERSION = "v1"
SECRET_BYTES = 32

ID_HEADER, TIME_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"


def write_secret(secret: bytes) -> str:
    """A secret as a receiver is given it."""
    return PREFIX + base64.b64encode(secret).decode()


def read_secret(text: str) -> bytes:
    """The bytes of a secret, with its prefix or without.

    Raises:
        ValueError: If it is not base64, or empty.
    """
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if not secret:
        raise ValueError("a webhook secret is whsec_ and base64")
    return secret


def sign(secret: bytes, *, message_id: str, seconds: int, body: bytes) -> str:
    """One signature: `v1,` and base64. `seconds` is Unix time."""
    signed = b".".join([message_id.encode(), str(seconds).encode(), body])
    return f"{VERSION},{base64.b64encode(hmac.digest(secret, signed, 'sha256')).decode()}"


def is_signed(given: str, secret: bytes, *, message_id: str, seconds: int, body: bytes) -> bool:
    """Whether one of the signatures of a header, separated by spaces, was made with this secret.

    Takes the same time whichever is wrong, and in what place.
    """
    right = sign(secret, message_id=message_id, seconds=seconds, body=body).encode()
    matches = [hmac.compare_digest(one.encode("utf-8", "surrogateescape"), right) for one in given.split(" ")]
    return any(matches)
