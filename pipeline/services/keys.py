"""API keys: made, shown once, recognised, and ended."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pipeline.db import api_keys, partners
from pipeline.db.api_keys import ApiKey
from pipeline.db.engine import Database, Session
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place
from pipeline.db.partners import Partner
from pipeline.errors import DatabaseUnavailable, InvalidInput, KeyRefused
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.services.key_text import KeyText, new_key, read_key
from pipeline.services.partner_orgs import org_of

SCOPES = (
    "crawl:read",
    "crawl:write",
    "training:read",
    "training:write",
    "search:read",
    "webhooks:read",
    "webhooks:write",
    "org:read",
    "org:write",
    "audit:read",
)
"""What an org key may be allowed to do."""

NAME_LIMIT = 200
USE_NOTED_EVERY = timedelta(minutes=1)
SHOWN_END = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the key, and what it may do. Partner keys have no org, org keys their org's partner or none."""

    key_id: UUID
    kind: str
    partner_id: UUID | None
    org: OrgScope | None
    scopes: frozenset[str]
    expires_at: datetime | None = None
    limits: tuple[tuple[str, int], ...] = ()
    """Quotas that are this org's own."""
    secret: bytes = field(default=b"", repr=False)
    """Opens the answers kept for this key; never written anywhere."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key, without its secret."""

    id: UUID
    kind: str
    name: str
    last_four: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    shown: str | None = field(default=None, repr=False)
    """The whole key, where it was just made."""


class KeyService:
    """Makes and ends keys, and tells whose a key is."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Work on this database."""
        self._database = database
        self._clock = clock

    def caller(self, text: str) -> Caller:
        """Whose key this is. One statement; none for what cannot be a key.

        Raises:
            KeyRefused: If there is no such key, it is revoked or expired, or its partner is inactive.
        """
        given = read_key(text)
        now = self._clock()
        with self._database.read() as session:
            found = api_keys.holder(session, given.id)
        if found is None or not hmac.compare_digest(found[0].secret_sha256, given.sha256):
            raise KeyRefused
        key, org, partner = found
        _check_valid(key, partner, org, kind=given.kind, now=now)
        if key.last_used_at is None or key.last_used_at < now - USE_NOTED_EVERY:
            self._note_use(key.id, now=now)
        return Caller(
            key_id=key.id,
            kind=key.kind,
            partner_id=None if partner is None else partner.id,
            org=None if org is None else OrgScope(org.id),
            scopes=frozenset(key.scopes),
            expires_at=key.expires_at,
            limits=() if org is None else tuple(sorted(org.limits.items())),
            secret=given.secret,
        )

    def for_partner(self, partner_id: UUID, *, name: str) -> KeyView:
        """A new key of a partner's.

        Raises:
            PartnerNotFound: If there is none.
        """
        with self._database.write() as session:
            partners.get(session, partner_id)
            return add_key(session, api_keys.PARTNER, name, now=self._clock(), partner_id=partner_id)

    def for_org(
        self,
        org_id: UUID,
        *,
        name: str,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        partner_id: UUID | None,
    ) -> KeyView:
        """A new key of an org's, which may do everything where no scopes are named.

        Args:
            org_id: The org.
            name: What people call the key.
            scopes: What it may do.
            expires_at: From when on it is refused.
            partner_id: Whose org it has to be; None for one of the command line.

        Raises:
            OrgNotFound: If the partner has no such org.
            InvalidInput: If there is no such scope, or it would have expired already.
        """
        chosen = SCOPES if scopes is None else tuple(dict.fromkeys(scopes))
        unknown = sorted(set(chosen) - set(SCOPES))
        now = self._clock()
        if unknown or not chosen:
            raise InvalidInput(field="scopes", given=", ".join(unknown) or "none", allowed=", ".join(SCOPES))
        if expires_at is not None and expires_at <= now:
            raise InvalidInput(field="expires_at", given=expires_at.isoformat(), allowed="a moment to come")
        with self._database.write() as session:
            org = org_of(session, org_id, partner_id=partner_id)
            return add_key(session, api_keys.ORG, name, now=now, org_id=org.id, scopes=chosen, expires_at=expires_at)

    def list_of_org(
        self, org_id: UUID, *, partner_id: UUID | None, limit: int = 100, after: Place | None = None
    ) -> Listed[KeyView]:
        """The org's keys, oldest first.

        Raises:
            OrgNotFound: If the partner has no such org.
        """
        with self._database.read() as session:
            org_of(session, org_id, partner_id=partner_id)
            return api_keys.of_org(session, org_id, limit=limit, after=after).each(_view)

    def list_of_partner(self, partner_id: UUID) -> list[KeyView]:
        """The partner's own keys, oldest first.

        Raises:
            PartnerNotFound: If there is none.
        """
        with self._database.read() as session:
            partners.get(session, partner_id)
            return [_view(key) for key in api_keys.of_partner(session, partner_id)]

    def revoke_of_org(self, key_id: UUID, *, org_id: UUID, partner_id: UUID | None) -> None:
        """End an org's key: within a second no process takes it any more. Doing it twice is the same as once.

        Raises:
            OrgNotFound: If the partner has no such org.
            KeyNotFound: If the org has no such key.
        """
        with self._database.write() as session:
            org_of(session, org_id, partner_id=partner_id)
            _revoke(api_keys.get_of_org(session, key_id, org_id=org_id), now=self._clock())

    def revoke(self, key_id: UUID) -> None:
        """End any key, as whoever runs this installation may.

        Raises:
            KeyNotFound: If there is none.
        """
        with self._database.write() as session:
            _revoke(api_keys.get(session, key_id), now=self._clock())

    def _note_use(self, key_id: UUID, *, now: datetime) -> None:
        try:
            with self._database.write() as session:
                api_keys.note_use(session, key_id, now=now, at_most_every=USE_NOTED_EVERY)
        except DatabaseUnavailable:
            return  # whoever writes for long need not stop those who read


def add_key(
    session: Session,
    kind: str,
    name: str,
    *,
    now: datetime,
    partner_id: UUID | None = None,
    org_id: UUID | None = None,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> KeyView:
    """Store a new key, and show it this once.

    Raises:
        InvalidInput: If the name is empty or longer than 200 characters.
    """
    if not name.strip() or len(name) > NAME_LIMIT:
        raise InvalidInput(field="name", allowed=f"1 to {NAME_LIMIT} characters")
    made: KeyText = new_key(kind)
    row = ApiKey(
        id=made.id,
        kind=kind,
        partner_id=partner_id,
        org_id=org_id,
        name=name,
        secret_sha256=made.sha256,
        last_four=made.shown[-SHOWN_END:],
        scopes=list(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return _view(row, shown=made.shown)


def _check_valid(key: ApiKey, partner: Partner | None, org: Org | None, *, kind: str, now: datetime) -> None:
    is_over = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now)
    is_away = partner is not None and partner.status != partners.ACTIVE
    is_erased = org is not None and org.erased_at is not None
    if is_over or is_away or is_erased or key.kind != kind:
        raise KeyRefused


def _revoke(key: ApiKey, *, now: datetime) -> None:
    key.revoked_at = key.revoked_at or now


def _view(key: ApiKey, *, shown: str | None = None) -> KeyView:
    return KeyView(
        id=key.id,
        kind=key.kind,
        name=key.name,
        last_four=key.last_four,
        scopes=tuple(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
        shown=shown,
    )
