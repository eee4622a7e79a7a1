"""A spider's share of one host: requests start within it at once, and a task of its own keeps it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.crawling import HostAsk, HostShare
from spiders.feed import LONGEST_SIT, LedgerCalls

ALONE_SECONDS = 2.0
"""How often a share is renewed that nobody else wants."""

SHARED_SECONDS = 0.5
"""How often, where others share the host: each hears so soon that it asked for a pause."""

LATE_SECONDS = 0.05
"""A reserved moment may be missed by so much, or a tenth of the host's delay; after that another is asked for."""


class HostClosed(Exception):
    """A host wants to be left alone for longer than a visit waits. `until` is None when the crawl gave it up."""

    def __init__(self, detail: str, until: datetime | None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.until = until


class KeptShare:
    """What this spider may ask of one host. Moments are seconds of the event loop's clock."""

    def __init__(self, host: str, calls: LedgerCalls, *, concurrency: int, now: Callable[[], datetime]) -> None:
        """Share `host` through `calls`, wanting up to `concurrency` requests at a time. `now` tells UTC."""
        self.host = host
        self.delay: timedelta | None = None
        self.is_well = False
        self.silent_refusals = 0
        """Answers in a row that said 503, and neither why nor how long."""
        self._calls = calls
        self._concurrency = concurrency
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._room = 0
        self._valid_until = 0.0
        self._others = 0
        self._is_backing_off = False
        self._starts = _Starts()
        self._closed_until = 0.0
        self._put_off: HostClosed | None = None
        self._failure: BaseException | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wanted = asyncio.Event()

    # --- in the way of every request -------------------------------------------------------

    def begin(self) -> bool:
        """Start a request, if nobody waits and the share allows one now."""
        return not self._queue and self._begin()

    def end(self) -> None:
        """A request is over."""
        self._in_flight -= 1
        if self._queue:
            self._pump()

    def _begin(self) -> bool:
        now = self._loop.time()
        if self._in_flight >= self._room or now >= self._valid_until or not self._starts.take(now):
            return False
        self._in_flight += 1
        return True

    # --- waiting ---------------------------------------------------------------------------

    async def wait(self) -> None:
        """Start a request as soon as the share allows it.

        Raises:
            HostClosed: If that is too far away.
        """
        self._refuse()
        turn = self._loop.create_future()
        self._queue.append(turn)
        self._pump()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.end()
            raise

    def closed_for(self) -> timedelta | None:
        """How long the host wants to be left alone from now; None when this crawl gave it up."""
        if self._put_off is not None and self._put_off.until is None:
            return None
        return timedelta(seconds=max(self._closed_until - self._loop.time(), 0))

    async def close_for(self, wait: timedelta) -> None:
        """Start nothing until then. Where that is far, everything that waits for the host is put off."""
        self._closed_until = max(self._closed_until, self._loop.time() + wait.total_seconds())
        self._valid_until = 0.0
        if wait > LONGEST_SIT and not self._is_put_off():
            await self._put_all_off(wait)
        self._pump()

    def keep_delay(self, delay: timedelta) -> None:
        """Ask anew, now that the host's delay is known: what was granted before knew of none."""
        if delay and delay != self.delay:
            self._valid_until = 0.0
        self.delay = delay

    def stop(self) -> None:
        """Keep nothing any more."""
        for kept in (self._keeper, self._timer):
            if kept is not None:
                kept.cancel()

    def _refuse(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_put_off() and self._put_off is not None:
            raise HostClosed(self._put_off.detail, self._put_off.until)

    def _is_put_off(self) -> bool:
        if self._put_off is None or self._put_off.until is None:
            return self._put_off is not None
        return self._put_off.until - self._now() > LONGEST_SIT

    async def _put_all_off(self, wait: timedelta) -> None:
        until = self._now() + wait
        why = f"{self.host} asked to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC"
        self._put_off = HostClosed(why, until)
        if not await self._calls.call(self._calls.ledger.postpone, self.host, wait, why):
            self._put_off = HostClosed(why, None)
        self._fail(self._put_off)

    def _fail(self, error: BaseException) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(HostClosed(error.detail, error.until) if isinstance(error, HostClosed) else error)

    def _pump(self) -> None:
        """Let those start that may, and see to it that the next one will."""
        while self._queue:
            if self._queue[0].done():
                self._queue.popleft()
            elif self._begin():
                self._queue.popleft().set_result(None)
            else:
                self._arrange()
                return

    def _arrange(self) -> None:
        now = self._loop.time()
        if now < self._closed_until:
            self._wake_at(self._closed_until)
        elif now >= self._valid_until or self._keeper is None:
            self._ask()
        elif self._in_flight < self._room:
            at = self._starts.next_at(now)
            if at is None:
                self._ask()
            else:
                self._wake_at(at)

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._pump)

    # --- keeping ---------------------------------------------------------------------------

    def _ask(self) -> None:
        self._wanted.set()
        if self._keeper is None and self._failure is None:
            self._keeper = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        """Renew the share while there is anything to ask the host; the last time, give it back."""
        try:
            while True:
                self._wanted.clear()
                is_kept = await self._renew()
                if is_kept:
                    await self._rest()
                elif not self._used():
                    return
        except Exception as error:  # noqa: BLE001 - raised again where a visit waits
            self._failure = error
            self._fail(error)
        finally:
            self._keeper = None

    async def _rest(self) -> None:
        seconds = ALONE_SECONDS
        if self._others or self._is_backing_off:
            seconds = min(max(SHARED_SECONDS, self._starts.spacing / 8), ALONE_SECONDS)
        try:
            await asyncio.wait_for(self._wanted.wait(), seconds)
        except TimeoutError:
            return

    async def _renew(self) -> bool:
        """Keep the share, or give it back where nothing is to be asked; whether it is kept."""
        began = self._loop.time()
        ask = self._asking(began)
        share = await self._calls.call(self._calls.ledger.share_host, ask)
        self._room = share.requests
        self._valid_until = began + share.lasts.total_seconds()
        self._others = share.others
        self._is_backing_off = share.is_backing_off
        self._starts.reserve(share, self._loop.time())
        if share.closed_for:
            await self.close_for(share.closed_for)
        else:
            self._pump()
        return bool(ask.wants)

    def _asking(self, now: float) -> HostAsk:
        """What to ask for. Until the answer comes no more is begun than is promised."""
        used = self._used()
        wants = min(used, self._concurrency) if self._others or not used else self._concurrency
        allowed = self._room if wants and now < self._valid_until else 0
        holds = max(self._in_flight, allowed)
        self._room = min(self._room, holds)
        went_well, self.is_well = self.is_well, False
        return HostAsk(
            host=self.host,
            holds=holds,
            wants=wants,
            starts=len(self._queue) if self._starts.next_at(now) is None else 0,
            delay=self.delay,
            went_well=went_well,
        )

    def _used(self) -> int:
        """Requests that are in flight, or could be."""
        is_closed = self._loop.time() < self._closed_until
        return self._in_flight + (0 if is_closed else len(self._queue))


class _Starts:
    """Moments reserved to start requests at, where a host has a delay."""

    def __init__(self) -> None:
        self.spacing = 0.0
        self._left = 0
        self._next = 0.0
        self._end = 0.0

    def reserve(self, share: HostShare, now: float) -> None:
        """Take what was granted."""
        self.spacing = share.spacing.total_seconds()
        if share.starts:
            self._left = share.starts
            self._next = now + share.first_in.total_seconds()
            self._end = self._next + (share.starts - 1) * self.spacing + max(LATE_SECONDS, 0.1 * self.spacing)

    def take(self, now: float) -> bool:
        """Use a moment, if one has come; always possible where the host has no delay."""
        if not self.spacing:
            return True
        if not self._left or now < self._next or now > self._end:
            return False
        self._left -= 1
        self._next = now + self.spacing
        return True

    def next_at(self, now: float) -> float | None:
        """The next moment; None when another has to be asked for."""
        if not self.spacing or not self._left or max(self._next, now) > self._end:
            return None
        return self._next
