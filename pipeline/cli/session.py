"""What a command works with: settings from its options, services, and the store however it can be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.bootstrap import Services, open_services
from pipeline.model import OrgScope
from pipeline.owner.lock import OwnerLock, owner_of, unusable
from pipeline.services.orgs import DEFAULT_ORG
from pipeline.settings import Settings, read_settings


@dataclass(slots=True)
class Chosen:
    """The options that stand before a command."""

    data_dir: Path | None = None
    org: str = DEFAULT_ORG

    def settings(self) -> Settings:
        """Settings from the environment, with the options above them."""
        return read_settings() if self.data_dir is None else read_settings(data_dir=self.data_dir)


chosen = Chosen()


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[tuple[Services, OrgScope]]:
    """Services and the chosen org, for commands that need no vectors."""
    settings = settings or chosen.settings()
    prepare_directory(settings)
    with open_services(settings) as services:
        yield services, services.orgs.ensure(chosen.org)


@contextmanager
def opened_with_store(settings: Settings | None = None) -> Iterator[tuple[Services, OrgScope]]:
    """Services that can search: through the server or the running owner, else owning the directory meanwhile.

    Raises:
        DataDirectoryBusy: If another process holds the directory without serving it.
    """
    settings = settings or chosen.settings()
    prepare_directory(settings)
    if not settings.is_embedded or owner_of(settings.data_dir) is not None:
        with opened(settings) as pair:
            yield pair
        return
    from pipeline.adapters.qdrant.edge import EdgeStore  # noqa: PLC0415 - loads the engine
    from pipeline.adapters.qdrant.opening import edge_path  # noqa: PLC0415

    lock = OwnerLock(settings.data_dir)
    try:
        store = EdgeStore(edge_path(settings))
        try:
            with Services(settings, store=store) as services:
                yield services, services.orgs.ensure(chosen.org)
        finally:
            store.close()
    finally:
        lock.release()


def prepare_directory(settings: Settings) -> None:
    """Make the data directory, or say why it cannot be used.

    Raises:
        DataDirectoryUnusable: If it cannot be made or written.
    """
    if settings.is_embedded or settings.database.url is None or settings.broker.url is None:
        _make(settings.data_dir)


def _make(directory: Path) -> None:
    probe = directory / ".writable"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"sitewise")
        probe.unlink()
    except OSError as error:
        raise unusable(directory, error) from error
