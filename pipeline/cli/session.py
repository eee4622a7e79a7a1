"""What a command works with: settings from its options, services, and the store however it can be had."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

from pipeline import tracing
from pipeline.cli.output import say
from pipeline.errors import DiskFull, InvalidInput, TemporaryError
from pipeline.settings import Settings, read_settings

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.client import Client
    from pipeline.model import OrgScope

DEFAULT_ORG = "default"
PROBE_BYTES = 64 * 2**10
"""What has to fit into a data directory that is not full."""

ROOM_TO_BEGIN, ROOM_TO_GROW = 128 * 2**20, 64 * 2**20
"""Bytes free for an embedded store, new and old. It maps its files: where one cannot grow, its process is ended."""


@dataclass(slots=True)
class Chosen:
    """The options that stand before a command."""

    data_dir: Path | None = None
    org: str = DEFAULT_ORG
    server: str | None = None
    key: str | None = None

    def client(self) -> Client | None:
        """What talks to the deployment that was chosen; None where commands work here.

        Raises:
            InvalidInput: If there is no key for it.
        """
        if self.server is None:
            return None
        from pipeline.client import Client  # noqa: PLC0415 - a client, which no other command needs

        if not self.key:
            raise InvalidInput(option="--key", needed="an org's key, or a partner's: --key or SITEWISE_KEY")
        if not self.server.startswith(("http://", "https://")):
            raise InvalidInput(
                option="--server", given=self.server, allowed="an address such as https://sitewise.example"
            )
        return Client(self.server, self.key, told=_Impatience(self.server))

    def settings(self) -> Settings:
        """Settings from the environment, with the options above them.

        Raises:
            InvalidSettings: If one has a value that cannot work.
        """
        return read_settings() if self.data_dir is None else read_settings(data_dir=self.data_dir)

    def set_up_logging(self, *, quiet: bool = True) -> None:
        """Send log lines to stderr; a quiet command tells of warnings only, unless a level is set."""
        from pipeline.logs import set_up_logging  # noqa: PLC0415 - a third of what `--help` would cost

        settings = self.settings()
        is_set = "log_level" in settings.model_fields_set
        set_up_logging(settings.model_copy(update={"log_level": "warning"}) if quiet and not is_set else settings)
        if settings.tracing.endpoint is not None and self.server is None and not tracing.is_on():
            from pipeline.adapters.opentelemetry import start_tracing  # noqa: PLC0415 - only where it is asked for

            start_tracing(settings, "command")


class _Impatience:
    """Says to whoever waits that the server is asked again, and why; once a command."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._has_said = False

    def __call__(self, failure: InvalidInput | TemporaryError, seconds: float) -> None:
        """Before a wait of so many seconds."""
        del seconds
        if not self._has_said:
            self._has_said = True
            problem = str(failure.facts.get("problem") or failure).rstrip(".")
            say(f"No answer from {self._server} yet ({problem}). Asking again for up to a minute; Ctrl-C ends it.")


chosen = Chosen()


@contextmanager
def opened(settings: Settings | None = None, *, makes_org: bool = False) -> Iterator[tuple[Services, OrgScope]]:
    """Services and the chosen org, for commands that need no vectors."""
    from pipeline.bootstrap import open_services  # noqa: PLC0415 - a database driver, which --help can do without

    if (client := chosen.client()) is not None:
        from pipeline.cli.remote import RemoteServices  # noqa: PLC0415 - as above
        from pipeline.model import OrgScope  # noqa: PLC0415

        with RemoteServices(client, org=chosen.org) as remote:
            yield cast("Services", remote), OrgScope(UUID(int=0))  # the key says which org
        return
    settings = settings or chosen.settings()
    prepare_directory(settings)
    with open_services(settings) as services:
        yield services, org_scope(services, makes_org=makes_org)


@contextmanager
def opened_with_store(settings: Settings | None = None) -> Iterator[tuple[Services, OrgScope]]:
    """Services that can search: through the server or the running owner, else owning the directory meanwhile.

    Raises:
        DataDirectoryBusy: If another process holds the directory without serving it.
    """
    from pipeline.bootstrap import Services  # noqa: PLC0415 - as above
    from pipeline.owner.lock import OwnerLock  # noqa: PLC0415

    if chosen.server is not None:
        with opened() as pair:
            yield pair
        return
    settings = settings or chosen.settings()
    prepare_directory(settings, grows=not vectors_exist(settings))
    if not settings.is_embedded or is_served(settings):
        with opened(settings) as pair:
            yield pair
        return
    from pipeline.adapters.qdrant.edge import EdgeStore  # noqa: PLC0415 - loads the engine
    from pipeline.adapters.qdrant.opening import edge_path  # noqa: PLC0415

    lock = OwnerLock(settings.data_dir, pause=_patiently)
    try:
        store = EdgeStore(edge_path(settings))
        try:
            with Services(settings, store=store) as services:
                yield services, org_scope(services)
        finally:
            store.close()
    finally:
        lock.release()


def is_served(settings: Settings) -> bool:
    """Whether a running owner works for this data directory, and answers."""
    from pipeline.adapters.qdrant.opening import store_socket  # noqa: PLC0415 - as above
    from pipeline.adapters.qdrant.remote import owner_answers  # noqa: PLC0415
    from pipeline.owner.lock import owner_of  # noqa: PLC0415

    if owner_of(settings.data_dir) is None:
        return False
    return not settings.is_embedded or owner_answers(store_socket(settings))


def _patiently(seconds: float) -> bool:
    """Wait ten times as long as another owner would: whoever asks a question is done in a moment."""
    return threading.Event().wait(10 * seconds)


def org_scope(services: Services, *, makes_org: bool = False) -> OrgScope:
    """The chosen org. The default one is always there; another is made only by what writes.

    Raises:
        OrgNotFound: If there is none of this name.
    """
    if makes_org or chosen.org == DEFAULT_ORG:
        return services.orgs.ensure(chosen.org)
    return services.orgs.find(chosen.org)


def prepare_directory(settings: Settings, *, grows: bool = False) -> None:
    """Make the data directory, or say why it cannot be used.

    Args:
        settings: Where it is.
        grows: Whether vectors will be written into it.

    Raises:
        DataDirectoryUnusable: If it cannot be made or written.
        DiskFull: If what is to come does not fit.
    """
    if not (settings.is_embedded or settings.database.url is None or settings.broker.url is None):
        return
    room = 0
    if grows and settings.is_embedded:
        room = ROOM_TO_GROW if vectors_exist(settings) else ROOM_TO_BEGIN
    probe(settings.data_dir, room=room)


def vectors_exist(settings: Settings) -> bool:
    """Whether there is an embedded store already."""
    from pipeline.adapters.qdrant.opening import edge_path  # noqa: PLC0415 - as above

    return edge_path(settings).exists()


def database_exists(settings: Settings) -> bool:
    """Whether there is a database to ask; opening an embedded one would make it."""
    from pipeline.db.engine import FILE_NAME  # noqa: PLC0415 - as above

    return settings.database.url is not None or (settings.data_dir / FILE_NAME).exists()


def probe(directory: Path, *, room: int = 0) -> None:
    """Write a little into a directory, made if need be, and look how much more would fit.

    Raises:
        DataDirectoryUnusable: If it cannot be made or written.
        DiskFull: If less than `room` bytes are free.
    """
    file = directory / ".writable"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(bytes(PROBE_BYTES))
        file.unlink(missing_ok=True)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        from pipeline.owner.lock import unusable  # noqa: PLC0415 - in the one case that needs it

        raise unusable(directory, error) from error
    if free < room:
        raise DiskFull(directory=directory, free=f"{free >> 20} MiB", needed=f"{room >> 20} MiB")
