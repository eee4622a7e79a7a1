"""Which test module runs when several processes share the suite: together, and the longest first."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # xdist publishes no types
from xdist.workermanage import WorkerController  # type: ignore[import-untyped] # likewise

LONGEST = (
    "tests/end_to_end/",
    "tests/chaos/",
    "tests/integration/",
    "tests/contracts/",
    "tests/hostile/",
)
"""What takes longest comes first; what is left for the end is short, so that no process waits long for another."""

SHARED = {"tests/end_to_end/test_demo.py": "tests/end_to_end/test_main_job.py"}
"""Modules that use what another one has made."""


class ModulesTogether(LoadScopeScheduling):  # type: ignore[misc] # xdist publishes no types
    """Hands out whole modules, so that what a module's tests share is made once."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return SHARED.get(module, module)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_turn), last=False)
        super()._assign_work_unit(node)


def _turn(module: str) -> int:
    """The place of a module's kind among those that take long; equal ones keep their random order."""
    return next((place for place, folder in enumerate(LONGEST) if module.startswith(folder)), len(LONGEST))
