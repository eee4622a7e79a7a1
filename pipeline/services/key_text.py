"""How an API key is written: `sw_org_` and 71 letters and digits. A typing mistake shows without asking anybody.

The letters are, in base 62 and of fixed length: the key's id (128 bits, 22 letters), its secret (256 bits, 43),
and the CRC-32 of all before it (6). CRC-32 finds every error within 32 neighbouring bits, so every wrong, and every
two swapped, characters.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from pipeline.errors import KeyRefused

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
KINDS = ("partner", "org", "widget")
ID_LETTERS, SECRET_LETTERS, CHECK_LETTERS = 22, 43, 6
ID_BYTES, SECRET_BYTES, CHECK_BYTES = 16, 32, 4


@dataclass(frozen=True, slots=True)
class KeyText:
    """An API key as it is shown once, in its parts."""

    kind: str
    id: UUID
    secret: bytes = field(repr=False)

    @property
    def shown(self) -> str:
        """The whole key."""
        body = f"sw_{self.kind}_{_write(self.id.bytes, ID_LETTERS)}{_write(self.secret, SECRET_LETTERS)}"
        return body + _check(body)

    @property
    def sha256(self) -> bytes:
        """What is stored of the secret. It has 256 random bits: a slow hash would protect it no better."""
        return hashlib.sha256(self.secret).digest()


def new_key(kind: str) -> KeyText:
    """A key nobody has."""
    return KeyText(kind, uuid4(), secrets.token_bytes(SECRET_BYTES))


def read_key(text: str) -> KeyText:
    """The parts of a key.

    Raises:
        KeyRefused: If it cannot be one: its form, its length or its check is wrong.
    """
    start, _, letters = text.rpartition("_")
    kind = start.removeprefix("sw_")
    if kind not in KINDS or start != f"sw_{kind}" or len(letters) != ID_LETTERS + SECRET_LETTERS + CHECK_LETTERS:
        raise KeyRefused(problem="it is not a key of this service")
    if not set(letters) <= VALUES.keys() or _check(text[:-CHECK_LETTERS]) != letters[-CHECK_LETTERS:]:
        raise KeyRefused(problem="it was not copied correctly")
    try:
        key_id = UUID(bytes=_read(letters[:ID_LETTERS], ID_BYTES))
        return KeyText(kind, key_id, _read(letters[ID_LETTERS:-CHECK_LETTERS], SECRET_BYTES))
    except OverflowError as error:
        raise KeyRefused(problem="it was not copied correctly") from error


def _check(body: str) -> str:
    return _write(zlib.crc32(body.encode("utf-8", "replace")).to_bytes(CHECK_BYTES), CHECK_LETTERS)


def _write(value: bytes, letters: int) -> str:
    number, written = int.from_bytes(value), ""
    for _ in range(letters):
        number, place = divmod(number, len(ALPHABET))
        written = ALPHABET[place] + written
    return written


def _read(letters: str, length: int) -> bytes:
    number = 0
    for letter in letters:
        number = number * len(ALPHABET) + VALUES[letter]
    return number.to_bytes(length)
