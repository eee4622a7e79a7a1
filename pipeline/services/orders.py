"""What another service may ask for in a message: the same checks, limits, audit and effect as over HTTP.

A message has no answer. What became of it is in the org's audit, and in what it made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from pipeline.db import orgs
from pipeline.db.engine import Database
from pipeline.errors import InvalidInput, SitewiseError, TemporaryError, code_of
from pipeline.model import CrawlTrigger, OrgScope
from pipeline.services.audit import AuditService, Deed
from pipeline.services.crawls import CrawlService
from pipeline.services.datasources import DatasourceService
from pipeline.services.limits import LimitService
from pipeline.services.websites import NewDatasource

Result = TypeVar("Result")
Fields = Mapping[str, object]

SOURCE = "message"
"""What the audit says instead of an address."""

_WEBSITE = TypeAdapter(NewDatasource)
_ID = TypeAdapter(UUID)
_YES_OR_NO = TypeAdapter(bool)


class OrderService:
    """Carries out what messages ask for."""

    def __init__(
        self,
        database: Database,
        *,
        datasources: DatasourceService,
        crawls: CrawlService,
        limits: LimitService,
        audit: AuditService,
    ) -> None:
        """Work through these use cases."""
        self._database = database
        self._datasources = datasources
        self._crawls = crawls
        self._limits = limits
        self._audit = audit

    def add_website(self, given: Fields) -> UUID:
        """Add a website to `org_id`, with the fields of `POST /crawl`, and crawl it unless told not to. Its id.

        Raises:
            InvalidInput: If a field is unknown, missing or wrong; it is named.
            DatasourceExists: If the org has one at this address: a message that came twice adds nothing twice.
            QuotaReached: If the org has as many as it may.
            OrgNotFound: If there is no such org.
        """
        scope = _scope(given)
        rest = {name: value for name, value in given.items() if name not in {"org_id", "auto_start_crawl"}}

        def add() -> UUID:
            _refuse_unknown(rest, {field.name for field in fields(NewDatasource)})
            new = _read(_WEBSITE, rest, field=None)
            starts = _read(_YES_OR_NO, given.get("auto_start_crawl", True), field="auto_start_crawl")
            self._limits.check_room("datasources", lambda: self._datasources.count(scope=scope), scope=scope)
            return self._datasources.add(new, scope=scope, starts=starts).id

        return self._carry_out("datasource.create", add, scope=scope)

    def start_crawl(self, given: Fields) -> UUID:
        """Crawl `datasource_id` of `org_id` now. The id of the crawl.

        Raises:
            InvalidInput: If a field is unknown, missing or wrong; it is named.
            CrawlAlreadyRunning: If one is running.
            DatasourceNotFound: If the org has no such website.
            OrgNotFound: If there is no such org.
        """
        scope = _scope(given)

        def start() -> UUID:
            _refuse_unknown(given, {"org_id", "datasource_id"})
            datasource_id = _read(_ID, given.get("datasource_id"), field="datasource_id")
            return self._crawls.start(datasource_id, scope=scope, trigger=CrawlTrigger.API).id

        return self._carry_out("crawl.start", start, scope=scope)

    def _carry_out(self, action: str, act: Callable[[], UUID], *, scope: OrgScope) -> UUID:
        """One transaction with its audit entry; what is refused is written down as well."""
        with self._database.read() as session:
            orgs.get(session, scope.org_id)
        try:
            with self._database.together():
                made = act()
                self._note(action, scope=scope, object_id=made)
                return made
        except TemporaryError:
            raise
        except SitewiseError as error:
            self._note(action, scope=scope, result=code_of(type(error)))
            raise

    def _note(self, action: str, *, scope: OrgScope, object_id: UUID | None = None, result: str | None = None) -> None:
        deed = Deed(
            action=action,
            object_kind=action.partition(".")[0],
            object_id=None if object_id is None else str(object_id),
            org_id=scope.org_id,
            source=SOURCE,
        )
        self._audit.note(deed if result is None else deed.refused(result))


def _scope(given: Fields) -> OrgScope:
    return OrgScope(_read(_ID, given.get("org_id"), field="org_id"))


def _refuse_unknown(given: Fields, known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise InvalidInput(field=unknown[0], allowed=", ".join(sorted(known)))


def _read(kind: TypeAdapter[Result], value: object, *, field: str | None) -> Result:
    """A value of this kind. A refusal names the field and what is allowed, never what was given."""
    try:
        return kind.validate_json(json.dumps(value), strict=True)
    except ValidationError as refused:
        first = refused.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(field=where or field, allowed=first["msg"]) from None
