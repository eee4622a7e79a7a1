"""The `sitewise` command as a person runs it: in a process of its own, with an exit status and two streams.

A command that is run to its end is forked with its libraries loaded; one that is started, from nothing.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from tests.lab.nursery import Forked, nursery
from tests.lab.waiting import eventually
from tests.measuring import VARIABLE

MODULE = "pipeline.cli"
COMMAND = [sys.executable, "-m", MODULE]
LOADED = ("pipeline.cli.app", "pipeline.cli.watching", "pipeline.bootstrap", "pipeline.owner.owner", "alembic.command")
"""What commands import, as far as it starts no thread."""

PATIENCE_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        """What it printed as JSON; nothing else may stand on stdout."""
        return json.loads(self.out)


class Running:
    """A command at work. What it says on stderr is read as it comes."""

    def __init__(self, child: subprocess.Popen[str] | Forked, *, out: IO[str] | None, err: IO[str] | None) -> None:
        self._child = child
        self._out, self._err = out, err
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def err(self) -> str:
        """What it has said so far."""
        return "".join(self._lines)

    def until_said(self, text: str) -> None:
        """Wait for these words on stderr; a command that ends without them fails."""
        eventually(lambda: text in self.err or self._child.poll() is not None, seconds=PATIENCE_SECONDS, what=text)
        assert text in self.err, self.err

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._child.send_signal(signal.SIGINT)

    def wait(self) -> Finished:
        """How it ended."""
        out = self._out.read() if self._out else ""
        status = self._child.wait(PATIENCE_SECONDS)
        self._reader.join()
        if self._out:
            self._out.close()
        return Finished(status, out, self.err)

    def _read(self) -> None:
        if self._err is not None:
            with self._err as lines:
                self._lines.extend(lines)


class Sitewise:
    """The command, for one data directory, loopback allowed. `settings` are further environment variables."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SITEWISE_")}
        own = {
            "SITEWISE_DATA_DIR": str(data_dir),
            "SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.0/8",
            "SITEWISE_EXTRACT__PROCESSES": "1",
            "SITEWISE_WORK__INDEX_PROCESSES": "1",
        }
        self._environment = inherited | own | settings

    def start(
        self, *arguments: str, prepare: Callable[[], None] | None = None, settings: Mapping[str, str] | None = None
    ) -> Running:
        """Begin a command. One with a limit is not measured: the measurement would be what breaks the limit.

        Nor does it keep what it compiles: some versions of Python keep half a module where no more fits.
        """
        dropped = "COVERAGE_" if prepare is not None else "\0"
        inherited = {name: value for name, value in self._environment.items() if not name.startswith(dropped)}
        if prepare is not None:
            inherited["PYTHONDONTWRITEBYTECODE"] = "1"
        child = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=inherited | dict(settings or {}),
            preexec_fn=prepare,  # noqa: PLW1509 - only sets a limit, before any thread of the child
        )
        return Running(child, out=child.stdout, err=child.stderr)

    def run(
        self, *arguments: str, settings: Mapping[str, str] | None = None, file_limit: int | None = None
    ) -> Finished:
        """Run a command to its end. With a `file_limit`, no file it writes may become longer (bytes)."""
        if file_limit is not None:
            limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (file_limit, file_limit))
            return self.start(*arguments, prepare=limit, settings=settings).wait()
        if any(name.startswith("PYTHON") for name in settings or ()):  # what Python reads when it starts
            return self.start(*arguments, settings=settings).wait()
        return self._forked(*arguments, settings=settings).wait()

    def _forked(self, *arguments: str, settings: Mapping[str, str] | None) -> Running:
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        with Path(os.devnull).open() as nothing:
            child = nursery(*LOADED, is_measured=VARIABLE in self._environment).start(
                MODULE,
                arguments,
                environment=self._environment | dict(settings or {}),
                streams=(nothing.fileno(), its_out, its_err),
            )
        os.close(its_out)
        os.close(its_err)
        return Running(child, out=os.fdopen(out), err=os.fdopen(err))
