"""Spiders and parsers that are copies of a process that has loaded what they need."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.adapters.process_template import Copy, ProcessTemplate
from pipeline.settings import ExtractSettings
from tests.lab.memory import memory_of
from tests.lab.waiting import eventually
from workers.spider_process import started
from workers.spider_template import template_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has what copies need")

UNUSED = "00000000-0000-0000-0000-000000000000"
IDS = [f"--crawl-id={UNUSED}", f"--org-id={UNUSED}", f"--token={UNUSED}"]
ADDRESS = "SITEWISE_DATABASE__URL"
PARSES = """
import sys
from datetime import timedelta
from pipeline.adapters.parser_fork import fork_parsers
from pipeline.adapters.parser_pool import ParserPool
from pipeline.errors import SitewiseError
from pipeline.settings import ExtractSettings
from tests.hostile.broken_parsers import misbehave

seconds = 1 if "loop" in sys.argv else 60
limits = ExtractSettings(processes=1, timeout=timedelta(seconds=seconds), memory_limit=300 * 2**20)
ready = fork_parsers(1, misbehave, memory_limit=limits.memory_limit)
with ParserPool(limits, function="tests.hostile.broken_parsers.misbehave", ready=ready) as pool:
    for page in sys.argv[1:]:
        try:
            print(pool.extract(page.encode(), url="https://www.example.com/").markdown)
        except SitewiseError as error:
            print(f"{type(error).__name__} {error.facts.get('problem', '')}".strip())
print(ready[0].poll())
"""


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessTemplate]:
    """A template that has loaded, of a worker that knows a secret."""
    monkeypatch.setenv(ADDRESS, "postgresql+psycopg://sitewise:hush@127.0.0.1:9/none")
    loaded = template_of(ExtractSettings(processes=2))
    loaded.prepare()
    assert loaded.loaded()
    yield loaded
    loaded.close()


@pytest.fixture
def unreachable() -> Iterator[str]:
    """A database that takes connections and says nothing: a spider waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql+psycopg://sitewise:hush@127.0.0.1:{server.getsockname()[1]}/none"


def _end(spider: Copy) -> int:
    assert spider.stdin is not None
    spider.stdin.close()
    return spider.wait()


def _of(parent: psutil.Process, word: str) -> list[psutil.Process]:
    return [child for child in parent.children() if word in child.cmdline()]


def _start(template: ProcessTemplate, database: str) -> tuple[Copy, psutil.Process]:
    """A copy that says it is a spider."""
    spider = template.start([*IDS, "--watch-stdin"], os.environ | {ADDRESS: database})
    assert spider is not None
    process = psutil.Process(spider.pid)
    eventually(lambda: "spiders.run" in process.cmdline())
    return spider, process


def _parsers(spider: psutil.Process) -> list[psutil.Process]:
    """Both, once each says what it is: they are copies, and do so after their spider."""
    return eventually(lambda: found if len(found := _of(spider, "pipeline.adapters.parser_child")) == 2 else None) or []


def test_a_copy_is_a_child_of_its_worker_and_a_spider(template: ProcessTemplate, unreachable: str) -> None:
    """It has a session, parsers and a command line of its own, reads its worker's end, and gives its exit status."""
    spider, process = _start(template, unreachable)

    parsers = _parsers(process)
    parent, session = process.ppid(), os.getsid(spider.pid)
    shown = process.cmdline()
    status = _end(spider)

    assert (parent, session) == (os.getpid(), spider.pid)
    assert len(parsers) == 2
    assert IDS[0] in shown
    assert IDS[2] not in shown
    assert status == os.EX_TEMPFAIL
    eventually(lambda: not any(parser.is_running() for parser in parsers), what="parsers gone")


def test_only_the_spider_knows_the_settings(template: ProcessTemplate, unreachable: str) -> None:
    """Neither the template nor a parser has an address or a password in its memory."""
    spider, process = _start(template, unreachable)
    parsers = _parsers(process)

    unknowing = [*parsers, *_of(psutil.Process(), "spiders.template")]
    readable = [memory_of(one.pid) for one in unknowing]
    told = eventually(lambda: b"hush" in memory_of(spider.pid))
    _end(spider)

    assert len(unknowing) == 3
    assert told
    assert not any(b"hush" in memory for memory in readable)


def test_a_copy_ends_as_any_spider_does(template: ProcessTemplate) -> None:
    """What it was told wrongly it says by its exit status."""
    spider = template.start(["--no-such-option"])
    assert spider is not None

    assert _end(spider) == 2


def test_a_template_that_was_killed_costs_one_copy(template: ProcessTemplate) -> None:
    """The next spider begins from nothing, and those after it are copies of another."""
    (first,) = _of(psutil.Process(), "spiders.template")

    first.kill()
    eventually(lambda: first.status() == psutil.STATUS_ZOMBIE)
    none = template.start(["--no-such-option"])
    template.loaded()
    copied = template.start(["--no-such-option"])

    assert none is None
    assert copied is not None
    assert _end(copied) == 2


def test_copies_outlive_their_template(template: ProcessTemplate, unreachable: str) -> None:
    """A spider at work does not depend on what it was copied from."""
    spider = template.start([*IDS, "--watch-stdin"], os.environ | {ADDRESS: unreachable})
    assert spider is not None

    template.close()
    runs = psutil.Process(spider.pid).is_running()

    assert runs
    assert _end(spider) == os.EX_TEMPFAIL


def test_a_template_ends_with_its_worker() -> None:
    """However that ends, nothing is left behind."""
    code = (
        "from workers.spider_template import template\n"
        "template().prepare(); print(template().loaded(), flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:  # noqa: S603 - ours
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"True\n"
        (orphan,) = _of(psutil.Process(worker.pid), "spiders.template")

        worker.send_signal(signal.SIGKILL)

    eventually(lambda: not orphan.is_running(), what="template gone")


@pytest.mark.parametrize(
    ("page", "problem", "status"),
    [
        ("loop", "PageTooSlow", "-9"),
        ("abort", "ParserEnded its parser was ended by SIGABRT", "-6"),
        ("exit", "ParserEnded its parser ended with status 3", "3"),
        ("memory", "ParserEnded it needs more memory than a page may", "-9"),
    ],
)
def test_a_copied_parser_is_bounded_and_replaced_like_any_other(page: str, problem: str, status: str) -> None:
    """Time, memory and death cost one page; the pages before and after it are read."""
    command = [sys.executable, "-c", PARSES, "before", page, "after"]

    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[2])  # noqa: S603 - ours

    assert done.stdout.splitlines() == ["before", problem, "after", status]


def test_a_spider_that_is_no_copy_has_a_session_of_its_own() -> None:
    """It can be ended with all it started."""
    spider = started([sys.executable, "-c", "import sys; sys.stdin.read()"])

    session = os.getsid(spider.pid)
    assert spider.stdin is not None
    spider.stdin.close()

    assert spider.wait() == 0
    assert session == spider.pid
