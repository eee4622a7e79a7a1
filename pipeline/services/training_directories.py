"""Directories: an org's folders for its scenarios."""

from __future__ import annotations

from uuid import UUID

from pipeline.db import orgs, scenario_directories
from pipeline.db.engine import Database
from pipeline.db.paging import Listed, Place
from pipeline.errors import InvalidScenario
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.services.training_text import DIRECTORY_LENGTH, DirectoryView, directory_view


class DirectoryService:
    """Makes, renames and removes folders."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Work on this database."""
        self._database = database
        self._clock = clock

    def add(self, name: str, *, scope: OrgScope) -> DirectoryView:
        """The directory of this name; adding it twice is the same as once.

        Raises:
            InvalidScenario: If the name is empty or longer than 200 characters.
            OrgNotFound: If there is no such org.
        """
        _check_name(name)
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            return directory_view(scenario_directories.ensure(session, name, org_id=scope.org_id, now=self._clock()))

    def list_all(self, *, scope: OrgScope) -> list[DirectoryView]:
        """Every directory of the org, by name."""
        with self._database.read() as session:
            found = scenario_directories.listing(session, org_id=scope.org_id)
            return [directory_view(directory) for directory in found]

    def list_page(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[DirectoryView]:
        """Some of the org's directories, oldest first."""
        with self._database.read() as session:
            found = scenario_directories.page(session, org_id=scope.org_id, limit=limit, after=after)
            return found.each(directory_view)

    def rename(self, directory_id: UUID, name: str, *, scope: OrgScope) -> DirectoryView:
        """Call a directory something else.

        Raises:
            InvalidScenario: If the name is empty, too long, or another directory's.
            DirectoryNotFound: If the org has no such directory.
        """
        _check_name(name)
        with self._database.write() as session:
            directory = scenario_directories.get(session, directory_id, org_id=scope.org_id)
            other = scenario_directories.find(session, name, org_id=scope.org_id)
            if other is not None and other.id != directory_id:
                raise InvalidScenario(field="name", problem="another directory has this name")
            directory.name, directory.updated_at = name, self._clock()
            return directory_view(directory)

    def delete(self, directory_id: UUID, *, scope: OrgScope) -> None:
        """Remove a directory; its scenarios stay in force, in no directory.

        Raises:
            DirectoryNotFound: If the org has no such directory.
        """
        with self._database.write() as session:
            directory = scenario_directories.get(session, directory_id, org_id=scope.org_id)
            scenario_directories.delete(session, directory)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > DIRECTORY_LENGTH:
        raise InvalidScenario(field="name", allowed=f"1 to {DIRECTORY_LENGTH} characters")
