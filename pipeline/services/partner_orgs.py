"""Whose an org is: a partner sees its own, the command line those without a partner."""

from __future__ import annotations

from uuid import UUID

from pipeline.db import orgs
from pipeline.db.engine import Session
from pipeline.db.orgs import Org
from pipeline.errors import OrgNotFound


def org_of(session: Session, org_id: UUID, *, partner_id: UUID | None) -> Org:
    """The partner's org.

    Raises:
        OrgNotFound: If there is none, or it is another's: nobody learns which.
    """
    org = orgs.get(session, org_id)
    if org.partner_id != partner_id:
        raise OrgNotFound(org=org_id)
    return org
