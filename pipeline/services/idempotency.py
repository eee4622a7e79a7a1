"""First answers are kept a day, in the transaction of what they tell of, and given again to who asks again.

They are kept sealed: an answer may show a new key once, and rows must not. The seal is a stream made by SHAKE-256
from the caller's own secret, which is stored nowhere, and a number used once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import shake_256
from uuid import UUID

from pipeline.db import idempotent_answers
from pipeline.db.engine import Database
from pipeline.db.idempotent_answers import IdempotentAnswer
from pipeline.errors import IdempotencyKeyReused, InvalidIdempotencyKey
from pipeline.services.clock import Clock

KEPT = timedelta(hours=24)
PATIENCE = timedelta(seconds=5)
LONGEST = 255
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may come again."""

    key_id: UUID
    secret: bytes
    """Of the API key it came with."""
    idempotency_key: str
    request_sha256: bytes
    """Of its method, path and body."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its status and its body as it was sent."""

    status: int
    body: bytes
    is_repeated: bool = False


class IdempotencyService:
    """Gives the same answer to the same request."""

    def __init__(self, database: Database, clock: Clock, *, patience: timedelta = PATIENCE) -> None:
        """Keep answers in this database; wait so long for another who asks the same at the same time."""
        self._database = database
        self._patience = patience
        self._clock = clock

    def earlier(self, asked: Asked) -> Answered | None:
        """What was answered before.

        Raises:
            IdempotencyKeyReused: If the key came with another request.
            InvalidIdempotencyKey: If it is empty, too long, or has other than visible ASCII characters.
        """
        key = asked.idempotency_key
        if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
            raise InvalidIdempotencyKey(length=len(key), allowed=LONGEST)
        with self._database.read() as session:
            found = idempotent_answers.find(session, asked.key_id, key, since=self._clock() - KEPT)
        return None if found is None else _opened(found, asked)

    def once(self, asked: Asked, act: Callable[[], Answered]) -> Answered:
        """Do something once, however often and by however many it is asked at the same time.

        All that `act` writes, and its answer, are one transaction. Of many who ask at once the others wait
        for the first; if that fails, the next one acts.

        Raises:
            IdempotencyKeyReused: If the key came with another request.
            RequestInFlight: If the first takes too long to wait for.
        """
        now = self._clock()
        nonce = secrets.token_bytes(NONCE_BYTES)
        with self._database.together() as session:
            key = (asked.key_id, asked.idempotency_key)
            idempotent_answers.forget_one(session, *key, before=now - KEPT)
            is_first = idempotent_answers.claim(
                session, *key, request_sha256=asked.request_sha256, nonce=nonce, now=now, patience=self._patience
            )
            row = session.get_one(IdempotentAnswer, key, populate_existing=True)
            if not is_first:
                return _opened(row, asked)
            answer = act()
            row.status, row.sealed = answer.status, _sealed(answer.body, asked.secret, nonce)
            return answer


def _opened(found: IdempotentAnswer, asked: Asked) -> Answered:
    if found.request_sha256 != asked.request_sha256:
        raise IdempotencyKeyReused
    return Answered(found.status, _sealed(found.sealed, asked.secret, found.nonce), is_repeated=True)


def _sealed(body: bytes, secret: bytes, nonce: bytes) -> bytes:
    """Seal, or open again what is sealed."""
    stream = shake_256(secret + nonce).digest(len(body))
    return bytes(left ^ right for left, right in zip(body, stream, strict=True))
