"""Signing secrets of webhooks. None is stored: each is made from the installation's key and a salt in its row."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from pipeline.db.webhook_endpoints import WebhookEndpoint
from pipeline.errors import WebhookKeyChanged

SALT_BYTES = 16
PURPOSE = b"sitewise webhook secret 1"


class Secrets:
    """Makes secrets, the same again from the same row."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        """Make them with this key, which is asked for when first needed."""
        self._key = key

    @property
    def mark(self) -> str:
        """Tells this key from others, and nothing else about it."""
        return hashlib.sha256(PURPOSE + b" mark\0" + self._key()).hexdigest()[:16]

    def of(self, endpoint: WebhookEndpoint, *, now: datetime) -> list[bytes]:
        """The secrets that messages to this endpoint are signed with now, the newest first.

        Raises:
            WebhookKeyChanged: If they were made with another key.
        """
        if not hmac.compare_digest(endpoint.key_mark, self.mark):
            raise WebhookKeyChanged(webhook=endpoint.id)
        salts = [endpoint.secret_salt]
        if endpoint.old_secret_salt and endpoint.old_secret_until and endpoint.old_secret_until > now:
            salts.append(endpoint.old_secret_salt)
        return [self._derive(endpoint.id, salt) for salt in salts]

    def _derive(self, endpoint_id: UUID, salt: str) -> bytes:
        return hmac.digest(self._key(), b"\0".join([PURPOSE, endpoint_id.bytes, bytes.fromhex(salt)]), "sha256")


def new_salt() -> str:
    """A salt for a new secret, hexadecimal."""
    return secrets.token_hex(SALT_BYTES)
