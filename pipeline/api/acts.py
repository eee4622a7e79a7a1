"""Requests that change something: one transaction for the change, its audit entry and its repeatable answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from pipeline.api.caller import any_caller
from pipeline.api.failures import JSON, code_of
from pipeline.bootstrap import Services
from pipeline.errors import SitewiseError, TemporaryError
from pipeline.services.audit import DONE, Deed
from pipeline.services.idempotency import LONGEST, Answered, Asked
from pipeline.services.keys import Caller

Made = TypeVar("Made", bound=BaseModel)
Result = TypeVar("Result")

REPEATED = {"Idempotency-Replayed": "true"}


class Act:
    """What a route does with a request that changes something. Ask for it as `act: ACreation`, or `act: AChange`.

    The function a route hands over calls services; everything these write is one transaction with the
    audit entry, and with the answer where the request has an Idempotency-Key. So it must do nothing slow:
    look at websites before, wait for nothing inside.
    """

    def __init__(
        self,
        services: Services,
        caller: Caller,
        *,
        request: Request,
        idempotency_key: str | None,
        request_sha256: bytes,
    ) -> None:
        """Act for this caller."""
        self._services = services
        self._caller = caller
        self._request = request
        self._asked = (
            None if idempotency_key is None else Asked(caller.key_id, caller.secret, idempotency_key, request_sha256)
        )

    def earlier(self) -> Response | None:
        """The answer given to this request before, if any: look before anything slow."""
        found = self._services.idempotency.earlier(self._asked) if self._asked else None
        return None if found is None else _response(found)

    def create(
        self, make: Callable[[], Made], *, action: str, org_id: UUID | None = None, status: int = HTTPStatus.CREATED
    ) -> Response:
        """Make something and answer with it; asked again with the same Idempotency-Key, give the same answer.

        Args:
            make: Calls services and returns the body of the answer, which has an `id`.
            action: For the audit, such as `org.create`; what stands before the dot is the kind of object.
            org_id: The org it is done in, where the caller is a partner.
            status: Of the answer.
        """
        if self._asked is not None and (before := self.earlier()) is not None:
            return before

        def act() -> Answered:
            made = make()
            self._note(action, object_id=getattr(made, "id", None), org_id=org_id)
            return Answered(int(status), made.model_dump_json().encode())

        with self._told(action):
            if self._asked is not None:
                return _response(self._services.idempotency.once(self._asked, act))
            with self._services.database.together():
                return _response(act())

    def change(
        self, act: Callable[[], Result], *, action: str, object_id: UUID | str | None = None, org_id: UUID | None = None
    ) -> Result:
        """Change or remove something, with its audit entry; returns what `act` returns."""
        with self._told(action, object_id=object_id), self._services.database.together():
            result = act()
            self._note(action, object_id=object_id, org_id=org_id)
            return result

    @contextmanager
    def _told(self, action: str, *, object_id: UUID | str | None = None) -> Iterator[None]:
        """Note what was refused, too. Not in an org that a partner named: it may be another's."""
        try:
            yield
        except TemporaryError:
            raise
        except SitewiseError as error:
            self._note(action, object_id=object_id, org_id=None, result=code_of(type(error)))
            raise

    def _note(self, action: str, *, object_id: UUID | str | None, org_id: UUID | None, result: str = DONE) -> None:
        caller, request = self._caller, self._request
        self._services.audit.note(
            Deed(
                action=action,
                object_kind=action.partition(".")[0],
                object_id=None if object_id is None else str(object_id),
                org_id=caller.org.org_id if caller.org else org_id,
                partner_id=caller.partner_id,
                key_id=caller.key_id,
                result=result,
                source=request.client.host if request.client else None,
                request_id=request.state.request_id,
            )
        )


async def act_of(
    request: Request,
    caller: Annotated[Caller, Depends(any_caller)],
    idempotency_key: Annotated[
        str | None,
        Header(
            max_length=LONGEST,
            description="Any text of your own, such as a UUID. Asked again with the same within 24 hours, the same "
            "request gets the same answer, and nothing happens twice.",
        ),
    ] = None,
) -> Act:
    """The change that a request asks for; for `POST`s that create, with its Idempotency-Key."""
    asked = b"\0".join([request.method.encode(), request.url.path.encode(), await request.body()])
    return Act(
        request.app.state.services,
        caller,
        request=request,
        idempotency_key=idempotency_key,
        request_sha256=hashlib.sha256(asked).digest(),
    )


async def plain_act_of(request: Request, caller: Annotated[Caller, Depends(any_caller)]) -> Act:
    """The change that a request asks for, where asking twice is the same as once anyway."""
    return Act(request.app.state.services, caller, request=request, idempotency_key=None, request_sha256=b"")


def _response(answered: Answered) -> Response:
    return Response(answered.body, answered.status, REPEATED if answered.is_repeated else None, JSON)


ACreation = Annotated[Act, Depends(act_of)]
AChange = Annotated[Act, Depends(plain_act_of)]
