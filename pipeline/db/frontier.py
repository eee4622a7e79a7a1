"""The frontier: every URL a crawl has seen, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, ForeignKey, Index, Update, delete, func, or_, select, update
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import ROWS_AT_A_TIME, Base, count_changed, insert_new
from pipeline.db.crawls import Crawl
from pipeline.db.leases import next_counts, uncounted
from pipeline.model import CrawlProgress, Discovered, Reason

WAITING, LEASED, DONE, REFUSED = "waiting", "leased", "done", "refused"
RESTING = "resting"
"""The state of a URL that this crawl does not ask for: its page is not due. Its outcome is known all the same."""

NEW, UPDATED, UNCHANGED, REMOVED, FAILED, DECLINED = "new", "updated", "unchanged", "removed", "failed", "declined"
HELD = "held"
"""The page serves as it did until somebody decides."""
NOT_DUE = "not_due"
KEPT = (NEW, UPDATED, UNCHANGED, NOT_DUE)

REFUSED_AT_A_TIME = 2_000


class FrontierEntry(Base):
    """One URL of one crawl. `outcome` is set once, when `state` becomes done or refused."""

    __tablename__ = "frontier"
    __table_args__ = (
        Index("ix_frontier_take", "crawl_id", "state", "is_new", "depth", "url_key"),
        Index("ix_frontier_counts", "crawl_id", "state", "outcome", "reason"),
    )

    crawl_id: Mapped[UUID] = mapped_column(ForeignKey("crawls.id", ondelete="CASCADE"), primary_key=True)
    url_key: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    depth: Mapped[int]
    is_new: Mapped[bool] = mapped_column(default=True)
    """Whether no page of this URL serves. Pages that serve are looked at first: the limit may leave no room for all."""
    found_on: Mapped[str | None]
    lastmod: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many spiders died with this URL in hand. Of those whose worker vanished with them every second one counts."""
    vanished: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many workers vanished, each with its spider, while this URL was in hand."""
    lease_token: Mapped[UUID | None]
    retry_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    http_status: Mapped[int | None]
    target: Mapped[str | None]
    """The URL this one folds into, for `duplicate_of` and `canonical_to`."""
    seen_at: Mapped[datetime]

    @hybrid_property
    def losses(self) -> int:
        """How many spiders were lost with it in hand, however."""
        return self.deaths + uncounted(self.vanished)


def add(session: Session, crawl_id: UUID, found: Iterable[Discovered], *, now: datetime, is_new: bool = True) -> None:
    """Add URLs; those already there are left as they are, and of two alike the first is taken."""
    first: dict[str, Discovered] = {}
    for url in found:
        first.setdefault(url.url_key, url)
    rows = (
        {
            "crawl_id": crawl_id,
            "url_key": url.url_key,
            "url": url.url,
            "depth": url.depth,
            "is_new": is_new,
            "found_on": url.found_on,
            "lastmod": url.lastmod,
            "state": REFUSED if url.reason else WAITING,
            "outcome": DECLINED if url.reason else None,
            "reason": url.reason,
            "detail": url.detail,
            "attempts": 0,
            "seen_at": now,
        }
        for url in first.values()
    )
    insert_new(session, FrontierEntry, rows)


@dataclass(frozen=True, slots=True)
class Rest:
    """A URL of a page that is not due. Without a `reason` the page serves, or is about to."""

    url_key: str
    url: str
    depth: int
    looked_at: datetime
    reason: str | None = None
    detail: str | None = None
    target: str | None = None


def add_resting(session: Session, crawl_id: UUID, resting: Iterable[Rest]) -> None:
    """Add URLs that this crawl does not ask for; those already there are left as they are."""
    rows = (
        {
            "crawl_id": crawl_id,
            "url_key": one.url_key,
            "url": one.url,
            "depth": one.depth,
            "is_new": False,
            "state": RESTING,
            "outcome": DECLINED if one.reason else NOT_DUE,
            "reason": one.reason,
            "detail": one.detail,
            "target": one.target,
            "attempts": 0,
            "seen_at": one.looked_at,
        }
        for one in resting
    )
    insert_new(session, FrontierEntry, rows)


def seen_before(session: Session, crawl_ids: Sequence[UUID]) -> list[FrontierEntry]:
    """What earlier crawls fetched or had no room for: a page that answers "not modified" shows no links again."""
    statement = (
        select(FrontierEntry)
        .where(
            FrontierEntry.crawl_id.in_(crawl_ids),
            or_(FrontierEntry.state != REFUSED, FrontierEntry.reason == Reason.PAGE_LIMIT),
            or_(FrontierEntry.outcome.is_(None), FrontierEntry.outcome != REMOVED),
        )
        .order_by(FrontierEntry.depth, FrontierEntry.url_key)
    )
    return list(session.scalars(statement))


def take(session: Session, crawl_id: UUID, *, token: UUID, limit: int, now: datetime) -> list[FrontierEntry]:
    """Lease waiting URLs: of pages that serve, then shallow ones, the same order every time."""
    waiting = (
        select(FrontierEntry.url_key)
        .where(
            FrontierEntry.crawl_id == crawl_id,
            FrontierEntry.state == WAITING,
            or_(FrontierEntry.retry_at.is_(None), FrontierEntry.retry_at <= now),
        )
        .order_by(FrontierEntry.is_new, FrontierEntry.depth, FrontierEntry.url_key)
        .limit(limit)
    )
    statement = (
        update(FrontierEntry)
        .where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.url_key.in_(waiting))
        .values(state=LEASED, lease_token=token, attempts=FrontierEntry.attempts + 1, seen_at=now)
        .returning(FrontierEntry)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return sorted(session.scalars(statement), key=lambda entry: (entry.is_new, entry.depth, entry.url_key))


def reclaim(session: Session, crawl_id: UUID, *, token: UUID, vanished: bool) -> int:
    """Put back what an earlier holder of the crawl had in hand as it died, or vanished. Returns how many URLs.

    A death is counted as that, and not as an attempt too: those are of URLs that came back without an answer.
    """
    statement = (
        update(FrontierEntry)
        .where(
            FrontierEntry.crawl_id == crawl_id,
            FrontierEntry.state == LEASED,
            FrontierEntry.lease_token != token,
        )
        .values(state=WAITING, lease_token=None, attempts=FrontierEntry.attempts - 1, **_died(vanished=vanished))
    )
    return count_changed(session, statement)


def _died(*, vanished: bool) -> dict[str, ColumnElement[int]]:
    """What is noted of a URL whose spider died: where its worker vanished too, something else may have killed both."""
    if not vanished:
        return {"deaths": FrontierEntry.deaths + 1}
    return {
        "deaths": FrontierEntry.deaths + next_counts(FrontierEntry.vanished),
        "vanished": FrontierEntry.vanished + 1,
    }


def put_back(session: Session, crawl_id: UUID, *, token: UUID) -> int:
    """Put back what a holder gives back unharmed. It counts as no attempt. Returns how many URLs."""
    statement = (
        update(FrontierEntry)
        .where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.state == LEASED, FrontierEntry.lease_token == token)
        .values(state=WAITING, lease_token=None, attempts=FrontierEntry.attempts - 1)
    )
    return count_changed(session, statement)


def put_all_back(session: Session) -> int:
    """Put back whatever any holder of any crawl has in hand. It counts as no attempt. Returns how many URLs."""
    statement = (
        update(FrontierEntry)
        .where(FrontierEntry.state == LEASED)
        .values(state=WAITING, lease_token=None, attempts=FrontierEntry.attempts - 1)
    )
    return count_changed(session, statement)


def postpone(session: Session, crawl_id: UUID, host: str, *, until: datetime, why: str) -> int:
    """Put off whatever waits of a host, as `UrlParts.site` names it. Returns how many URLs."""
    return count_changed(session, _waiting_of(crawl_id, host).values(retry_at=until, detail=why))


def postpone_all(session: Session, crawl_id: UUID, *, until: datetime, why: str) -> int:
    """Put off whatever waits. Returns how many URLs."""
    waiting = update(FrontierEntry).where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.state == WAITING)
    return count_changed(session, waiting.values(retry_at=until, detail=why))


def give_up(session: Session, crawl_id: UUID, host: str, *, why: str) -> int:
    """Ask nothing more of a host, as `UrlParts.site` names it. Returns how many URLs."""
    values = {"state": DONE, "outcome": FAILED, "reason": Reason.HTTP_ERROR, "detail": why}
    return count_changed(session, _waiting_of(crawl_id, host).values(**values))


def next_put_off(session: Session, crawl_id: UUID) -> str | None:
    """The URL that waits and is tried again first, and why it waits."""
    entry = FrontierEntry
    statement = (
        select(entry.url, entry.detail)
        .where(entry.crawl_id == crawl_id, entry.state == WAITING, entry.retry_at.is_not(None))
        .order_by(entry.retry_at, entry.url_key)
        .limit(1)
    )
    found = session.execute(statement).one_or_none()
    return None if found is None else f"{found.url}: {found.detail or 'waits for its host'}"


def _waiting_of(crawl_id: UUID, host: str) -> Update:
    return update(FrontierEntry).where(
        FrontierEntry.crawl_id == crawl_id,
        FrontierEntry.state == WAITING,
        FrontierEntry.url_key.startswith(f"https://{host}/", autoescape=True),
    )


def set_aside(session: Session, crawl_id: UUID, *, token: UUID, deaths: int, vanished: bool) -> list[FrontierEntry]:
    """Give up URLs with so many deaths, the end of the last holder of the crawl counted. Returns them."""
    died = _died(vanished=vanished)
    statement = (
        update(FrontierEntry)
        .where(
            FrontierEntry.crawl_id == crawl_id,
            FrontierEntry.state == LEASED,
            FrontierEntry.lease_token != token,
            died["deaths"] >= deaths,
        )
        .values(state=DONE, outcome=FAILED, reason=Reason.POISON, lease_token=None, **died)
        .returning(FrontierEntry)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return list(session.scalars(statement))


def get(session: Session, crawl_id: UUID, url_key: str) -> FrontierEntry | None:
    """One URL of the crawl."""
    return session.get(FrontierEntry, (crawl_id, url_key))


def by_key(session: Session, crawl_id: UUID, url_keys: Sequence[str]) -> dict[str, FrontierEntry]:
    """These URLs of the crawl."""
    statement = select(FrontierEntry).where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.url_key.in_(url_keys))
    return {entry.url_key: entry for entry in session.scalars(statement)}


def noted(session: Session, datasource_id: UUID, url_key: str) -> list[FrontierEntry]:
    """One URL in the datasource's crawls that are not forgotten, the newest first."""
    statement = (
        select(FrontierEntry)
        .join(Crawl, Crawl.id == FrontierEntry.crawl_id)
        .where(Crawl.datasource_id == datasource_id, FrontierEntry.url_key == url_key)
        .order_by(Crawl.created_at.desc(), FrontierEntry.seen_at.desc())
    )
    return list(session.scalars(statement))


def failures(session: Session, crawl_id: UUID, *, limit: int) -> list[FrontierEntry]:
    """URLs of the crawl that could not be read, in URL order."""
    statement = (
        select(FrontierEntry)
        .where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.outcome == FAILED)
        .order_by(FrontierEntry.url_key)
        .limit(limit)
    )
    return list(session.scalars(statement))


def reasons(session: Session, crawl_id: UUID) -> dict[str, int]:
    """How many URLs of the crawl were refused or failed, by reason."""
    statement = (
        select(FrontierEntry.reason, func.count())
        .where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.outcome.in_((FAILED, DECLINED)))
        .group_by(FrontierEntry.reason)
        .order_by(FrontierEntry.reason)
    )
    return {str(reason): count for reason, count in session.execute(statement)}


def refuse_waiting(session: Session, crawl_id: UUID, *, reason: str, detail: str | None = None) -> int:
    """Refuse whatever still waits. Returns how many URLs.

    Some at a time: SQLite keeps in memory what one statement changes until it is done.
    """
    some = (
        select(FrontierEntry.url_key)
        .where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.state == WAITING)
        .limit(REFUSED_AT_A_TIME)
    )
    statement = (
        update(FrontierEntry)
        .where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.url_key.in_(some))
        .values(state=REFUSED, outcome=DECLINED, reason=reason, **({"detail": detail} if detail else {}))
    )
    refused = 0
    while changed := count_changed(session, statement):
        refused += changed
    return refused


def reopen_listed(session: Session, crawl_id: UUID, found: Iterable[Discovered]) -> int:
    """Put back what was taken for a trap before a sitemap listed it. Returns how many URLs."""
    listed = [url.url_key for url in found if url.is_listed and url.reason is None]
    reopened = 0
    for first in range(0, len(listed), ROWS_AT_A_TIME):
        statement = (
            update(FrontierEntry)
            .where(
                FrontierEntry.crawl_id == crawl_id,
                FrontierEntry.url_key.in_(listed[first : first + ROWS_AT_A_TIME]),
                FrontierEntry.state.in_((REFUSED, DONE)),
                FrontierEntry.outcome == DECLINED,
                FrontierEntry.reason == Reason.PAGE_LIMIT,
            )
            .values(state=WAITING, outcome=None, reason=None, detail=None)
        )
        reopened += count_changed(session, statement)
    return reopened


def reopen_folded(session: Session, crawl_id: UUID, *, target: str) -> int:
    """Put back what was folded into `target` because both said the same. Returns how many URLs."""
    statement = (
        update(FrontierEntry)
        .where(
            FrontierEntry.crawl_id == crawl_id,
            FrontierEntry.state.in_((DONE, RESTING)),
            FrontierEntry.outcome == DECLINED,
            FrontierEntry.reason == Reason.DUPLICATE_OF,
            FrontierEntry.target == target,
        )
        .values(state=WAITING, outcome=None, reason=None, target=None, lease_token=None)
    )
    return count_changed(session, statement)


def next_retry(session: Session, crawl_id: UUID) -> datetime | None:
    """When the earliest URL that was put back may be tried again."""
    return session.scalar(
        select(func.min(FrontierEntry.retry_at)).where(
            FrontierEntry.crawl_id == crawl_id, FrontierEntry.state == WAITING
        )
    )


def progress(session: Session, crawl_id: UUID, *, page_limit: int, fetch_limit: int | None = None) -> CrawlProgress:
    """The crawl's counts, from its rows: one look along an index that holds all of them."""
    states, outcomes, reasons = Counter[str](), Counter[str | None](), Counter[str | None]()
    entry = FrontierEntry
    kinds = (entry.state, entry.outcome, entry.reason)
    statement = select(*kinds, func.count()).where(entry.crawl_id == crawl_id).group_by(*kinds)
    for state, outcome, reason, count in session.execute(statement):
        states[state] += count
        outcomes[outcome] += count
        reasons[reason] += count
    waiting = states[WAITING] + states[LEASED]
    is_full = sum(outcomes[kept] for kept in KEPT) >= page_limit
    is_full |= fetch_limit is not None and states[DONE] >= fetch_limit
    return CrawlProgress(
        found=states.total(),
        waiting=waiting,
        fetched=states[DONE],
        new=outcomes[NEW],
        updated=outcomes[UPDATED],
        unchanged=outcomes[UNCHANGED],
        refused=outcomes[DECLINED],
        failed=outcomes[FAILED],
        removed=outcomes[REMOVED],
        held=outcomes[HELD],
        not_due=outcomes[NOT_DUE],
        limit_reached=is_full and (waiting > 0 or reasons[Reason.PAGE_LIMIT] > 0),
    )


def progress_since(session: Session, crawl_id: UUID, before: CrawlProgress) -> CrawlProgress:
    """The same after a little while, from the rows that are done alone: what waits is as it was `before`.

    The frontier may hold twenty times as many URLs as a crawl fetches.
    """
    done = (FrontierEntry.crawl_id == crawl_id, FrontierEntry.state == DONE)
    statement = select(FrontierEntry.outcome, func.count()).where(*done).group_by(FrontierEntry.outcome)
    outcomes = Counter[str | None]()
    for outcome, count in session.execute(statement):
        outcomes[outcome] += count
    return replace(
        before,
        fetched=outcomes.total(),
        new=outcomes[NEW],
        updated=outcomes[UPDATED],
        unchanged=outcomes[UNCHANGED],
        failed=outcomes[FAILED],
        removed=outcomes[REMOVED],
        held=outcomes[HELD],
    )


def count_done(session: Session, crawl_id: UUID) -> tuple[int, int]:
    """How many URLs of the crawl became pages that are kept, and how many were fetched: one look along an index."""
    entry = FrontierEntry
    kept, fetched = func.count().filter(entry.outcome.in_(KEPT)), func.count().filter(entry.state == DONE)
    done = (entry.crawl_id == crawl_id, entry.state.in_((DONE, RESTING)))
    counts = session.execute(select(kept, fetched).where(*done)).one()
    return int(counts[0]), int(counts[1])


def leased(session: Session, crawl_id: UUID) -> tuple[int, int]:
    """How many URLs are in a spider's hands, and how many spiders were lost with the worst of them."""
    worst = func.coalesce(func.max(FrontierEntry.losses), 0)
    statement = select(func.count(), worst).where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.state == LEASED)
    in_hand, lost = session.execute(statement).one()
    return int(in_hand), int(lost)


def leave(session: Session, crawl_id: UUID, url_keys: Sequence[str]) -> None:
    """Put back URLs that were just taken, as if they had not been."""
    statement = update(FrontierEntry).where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.url_key.in_(url_keys))
    count_changed(session, statement.values(state=WAITING, lease_token=None, attempts=FrontierEntry.attempts - 1))


def folded(session: Session, crawl_id: UUID) -> list[FrontierEntry]:
    """The URLs of the crawl that led to others."""
    statement = select(FrontierEntry).where(
        FrontierEntry.crawl_id == crawl_id,
        FrontierEntry.state.in_((DONE, RESTING)),
        FrontierEntry.outcome == DECLINED,
        FrontierEntry.reason.in_((Reason.CANONICAL_TO, Reason.DUPLICATE_OF)),
    )
    return list(session.scalars(statement))


def reopen(session: Session, crawl_id: UUID, url_keys: Sequence[str]) -> int:
    """Have a crawl ask for these URLs, once more or after all; those in a spider's hands are left. Returns how many."""
    statement = (
        update(FrontierEntry)
        .where(
            FrontierEntry.crawl_id == crawl_id,
            FrontierEntry.url_key.in_(url_keys),
            FrontierEntry.state.in_((DONE, RESTING)),
        )
        .values(state=WAITING, outcome=None, reason=None, detail=None, target=None, lease_token=None, retry_at=None)
    )
    return count_changed(session, statement)


def forget_urls(session: Session, datasource_id: UUID, url_keys: Sequence[str]) -> None:
    """Forget what crawls of the datasource noted of these URLs."""
    own = select(Crawl.id).where(Crawl.datasource_id == datasource_id)
    for first in range(0, len(url_keys), ROWS_AT_A_TIME):
        noted = (FrontierEntry.crawl_id.in_(own), FrontierEntry.url_key.in_(url_keys[first : first + ROWS_AT_A_TIME]))
        session.execute(delete(FrontierEntry).where(*noted).execution_options(synchronize_session=False))


def forget_some(session: Session, crawl_id: UUID, *, limit: int) -> int:
    """Delete some of a crawl's frontier. Returns how many URLs."""
    some = select(FrontierEntry.url_key).where(FrontierEntry.crawl_id == crawl_id).limit(limit)
    statement = delete(FrontierEntry).where(FrontierEntry.crawl_id == crawl_id, FrontierEntry.url_key.in_(some))
    result = session.execute(statement.execution_options(synchronize_session=False))
    return result.rowcount if isinstance(result, CursorResult) else 0


def forget(session: Session, crawl_ids: Sequence[UUID]) -> None:
    """Delete the frontier of crawls that a later one replaced."""
    session.execute(delete(FrontierEntry).where(FrontierEntry.crawl_id.in_(crawl_ids)))
