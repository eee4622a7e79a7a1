"""Verifies webhooks where they arrive: forged, old and doubled ones are refused."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pipeline.errors import InvalidInput
from pipeline.webhook_signature import ID_HEADER, SIGNATURE_HEADER, TIME_HEADER, is_signed, read_secret

TOLERANCE = timedelta(minutes=5)
REMEMBERED = 100_000


class ForgedDelivery(InvalidInput):
    """This message was not signed with our secret, or is too old, or was changed on its way."""


class DoubledDelivery(InvalidInput):
    """This message has been taken before. Answer 200: there is nothing left to do."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was verified. `facts` are its ids and counts."""

    id: str
    event: str
    timestamp: str
    facts: Mapping[str, Any]


class WebhookVerifier:
    """Verifies messages, in one process. Threads may share it.

    Args:
        secrets: The webhook's secret; while it is rotated, both.
        tolerance: How far a message's time may be from now.
        now: Unix time in seconds.
    """

    def __init__(
        self,
        *secrets: str,
        tolerance: timedelta = TOLERANCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secrets: Sequence[bytes] = [read_secret(secret) for secret in secrets]
        self._tolerance = tolerance.total_seconds()
        self._now = now
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, headers: Mapping[str, str], body: bytes) -> Message:
        """Take a message: its headers in any spelling, its body byte for byte as it came.

        Raises:
            ForgedDelivery: If its signature or its time is wrong, or it has none.
            DoubledDelivery: If it was taken before.
        """
        given = {name.lower(): value for name, value in headers.items()}
        message_id, moment = given.get(ID_HEADER, ""), given.get(TIME_HEADER, "")
        if not message_id or not moment.isascii() or not moment.isdecimal() or len(moment) > len(str(2**63)):
            raise ForgedDelivery(problem="a header is missing")
        if abs(self._now() - int(moment)) > self._tolerance:
            raise ForgedDelivery(problem="its time is too far from now")
        signatures = given.get(SIGNATURE_HEADER, "")
        known = {"message_id": message_id, "seconds": int(moment), "body": body}
        if not any([is_signed(signatures, secret, **known) for secret in self._secrets]):  # type: ignore[arg-type]  # noqa: C419 - as long for each secret
            raise ForgedDelivery(problem="no signature fits")
        with self._lock:
            if message_id in self._seen:
                raise DoubledDelivery(message=message_id)
            self._seen[message_id] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        told = json.loads(body)
        return Message(id=message_id, event=told["type"], timestamp=told["timestamp"], facts=told["data"])

    def forget(self, message: Message) -> None:
        """It could not be dealt with: when it is sent again, it is not a double."""
        with self._lock:
            self._seen.pop(message.id, None)
