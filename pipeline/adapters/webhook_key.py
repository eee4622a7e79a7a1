"""The installation's key for webhooks: the one that is set, or a file beside the embedded database."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from pipeline.errors import DataDirectoryUnusable, WebhookKeyMissing
from pipeline.settings import Settings

FILE_NAME = "webhook.key"
KEY_BYTES = 32


def webhook_key(settings: Settings) -> bytes:
    """The key. Where everything is in one data directory it is made when first asked for.

    Raises:
        WebhookKeyMissing: If the database is a server, and no key is set: each machine would make its own.
        DataDirectoryUnusable: If the file cannot be made or read.
    """
    if settings.webhooks.key is not None:
        return settings.webhooks.key.get_secret_value().encode()
    if settings.database.url is not None:
        raise WebhookKeyMissing
    file = settings.data_dir / FILE_NAME
    try:
        if not file.exists():
            _make(file)
        return file.read_bytes()
    except OSError as error:
        raise DataDirectoryUnusable(directory=settings.data_dir, problem=error.strerror) from error


def _make(file: Path) -> None:
    """Write a key that is there whole or not at all; of two who make one, the first's stays."""
    draft = file.with_name(f"{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "wb") as written:
            written.write(secrets.token_bytes(KEY_BYTES))
            written.flush()
            os.fsync(written.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
