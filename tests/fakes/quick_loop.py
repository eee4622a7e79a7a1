"""An event loop in which waiting takes no time: its clock jumps to whatever is due next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from selectors import DefaultSelector, SelectorKey
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class QuickLoop(asyncio.SelectorEventLoop):
    """Time passes by jumps. Everything has to happen in this one thread."""

    def __init__(self) -> None:
        self._passed = 0.0
        super().__init__(_Jumping(self._pass))

    def time(self) -> float:
        """Seconds since it began."""
        return self._passed

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self._passed)

    def _pass(self, seconds: float) -> None:
        self._passed += seconds


class _Jumping(DefaultSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait by jumping."""
        if timeout is None:
            raise RuntimeError("everything waits for something that will never happen")
        found = super().select(0)
        if not found and timeout > 0:
            self._jump(timeout)
        return found


class AtOnce(Executor):
    """Runs what it is given at once, in the caller's thread."""

    def submit(self, call: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """A future that is done."""
        done: Future[Result] = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future carries whatever it was
            done.set_exception(error)
        return done


def run_quickly(story: Callable[[QuickLoop], Coroutine[Any, Any, Result]]) -> Result:
    """What a story comes to, in no time."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, QuickLoop)
        return runner.run(story(loop))
