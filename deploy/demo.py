"""`make demo`: a website becomes a knowledge base, and answers, on this machine alone.

`python -m deploy.demo` crawls the sample site; `python -m deploy.demo https://…` crawls another.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from deploy.sample.serve import SampleSite
from pipeline.errors import SitewiseError

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.model import OrgScope

SAMPLE = Path(__file__).parent / "sample"
HOME = Path(".sitewise")
PORTS = (8_417, 8_418, 8_419)
"""The first that is free, the same every time: pages name their own address, so another port is another site."""

PAGE_LIMIT = 200
FAILURE, INTERRUPTED = 1, 130
GENERAL_QUESTIONS = (
    "What do you offer, and for whom?",
    "What does it cost?",
    "How can I reach a person?",
)
GENERAL_TRAINING: Sequence[dict[str, object]] = (
    {
        "type": "BEHAVIORAL",
        "title": "Tone of voice",
        "content": "Answer in short, friendly sentences, and name the page where the customer can read more.",
        "triggers": [],
    },
    {
        "type": "SCENARIO_SPECIFIC",
        "title": "The customer asks for a price",
        "content": "Name the price with its currency and what it includes. Where no page names one, offer a quote.",
        "triggers": ["What does it cost?", "How much is it?", "How expensive is it?"],
    },
)
ALLOWED = "SITEWISE_CRAWL__ALLOWED_ADDRESSES"


class Demo(NamedTuple):
    """What is crawled and asked, and where it is kept."""

    url: str
    data_dir: Path
    questions: Sequence[str]
    training: Sequence[dict[str, object]]
    next_steps: Sequence[str]


def main(arguments: Sequence[str]) -> int:
    """Crawl, teach, ask. The exit status is that of the crawl."""
    try:
        if arguments and arguments[0].strip():
            return run(other_site(arguments[0].strip()))
        with sample_site() as demo:
            return run(demo)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SitewiseError as error:
        sys.stderr.write(f"demo: {error}\n")
        return FAILURE


@contextmanager
def sample_site() -> Iterator[Demo]:
    """The sample site, served from here until the end of the block."""
    os.environ[ALLOWED] = ",".join(filter(None, [os.environ.get(ALLOWED), "127.0.0.0/8"]))
    with SampleSite(port=free_port()) as site:
        port = urlsplit(site.url).port
        data_dir = HOME / ("demo" if port == PORTS[0] else f"demo-{port}")
        yield Demo(
            url=site.url,
            data_dir=data_dir,
            questions=[asked["question"] for asked in json.loads((SAMPLE / "questions.json").read_text())],
            training=json.loads((SAMPLE / "training.json").read_text()),
            next_steps=(
                f"{command(data_dir)} ask 'Does the Heron work in snow?'",
                f"{command(data_dir)} why {site.url}admin/",
                "make demo URL=https://www.your-own-site.example/",
            ),
        )


def free_port() -> int:
    """A port nobody listens on; 0, any, where all of ours are taken."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    return 0


def other_site(url: str) -> Demo:
    """Any other site; each host has a knowledge base of its own."""
    host = re.sub(r"[^a-z0-9.-]+", "-", (urlsplit(url).netloc or url).lower()).strip("-.")
    data_dir = HOME / f"demo-{host[:80] or 'site'}"
    return Demo(
        url=url,
        data_dir=data_dir,
        questions=GENERAL_QUESTIONS,
        training=GENERAL_TRAINING,
        next_steps=(
            f"{command(data_dir)} ask 'Your own question?'",
            f"{command(data_dir)} page list",
            f"{command(data_dir)} crawl {url} --page-limit 1000",
        ),
    )


def command(data_dir: Path) -> str:
    """The command line as a person types it here."""
    program = Path(sys.executable).with_name("sitewise")
    shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    return f"{shown} --data-dir {shlex.quote(str(data_dir))}"


def run(demo: Demo) -> int:
    """Show one website becoming a knowledge base that answers."""
    began = time.monotonic()
    status = crawl(demo)
    if status != 0:
        return status
    ask(demo)
    heading(f"{time.monotonic() - began:.0f} seconds in all. Try next:")
    for step in demo.next_steps:
        tell(f"  {step}")
    return 0


def crawl(demo: Demo) -> int:
    """Crawl as a person would: through the command line, whose exit status is returned."""
    heading("Reading a website")
    options = ["--data-dir", str(demo.data_dir), "crawl", demo.url, "--page-limit", str(PAGE_LIMIT)]
    tell(f"$ sitewise {shlex.join(options)}")
    with subprocess.Popen([sys.executable, "-m", "pipeline.cli", *options]) as child:  # noqa: S603 - our own command
        signal.signal(signal.SIGINT, lambda *_: None)  # the crawl has Ctrl-C too, and ends by itself
        try:
            status = child.wait()
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return status


def ask(demo: Demo) -> None:
    """Teach the scenarios that are not there yet, and show what an answer would be written from."""
    from pipeline.cli.asking import show_excerpt  # noqa: PLC0415 - loaded when the crawl has left the cores
    from pipeline.cli.session import chosen, opened_with_store  # noqa: PLC0415
    from pipeline.model import ScenarioType  # noqa: PLC0415
    from pipeline.services.answers import Question  # noqa: PLC0415
    from pipeline.services.training import NewScenario  # noqa: PLC0415

    chosen.data_dir = demo.data_dir
    chosen.set_up_logging()
    with opened_with_store() as (services, scope):
        known = {scenario.title for scenario in services.training.list_scenarios(scope=scope)}
        for taught in demo.training:
            if taught["title"] not in known:
                kind = ScenarioType(str(taught["type"]))
                triggers = tuple(map(str, taught["triggers"]))  # type: ignore[call-overload] # a list in our own file
                new = NewScenario(str(taught["title"]), str(taught["content"]), kind, triggers)
                services.training.add(new, scope=scope)
        services.answers.warm_up()
        for number, question in enumerate(demo.questions, start=1):
            began = time.perf_counter()
            briefing = services.answers.brief(Question(question), scope=scope)
            took = (time.perf_counter() - began) * 1000
            heading(f"Question {number} of {len(demo.questions)}  ({took:.0f} ms)")
            tell(f"{question}\n")
            show_excerpt(briefing, question, passages=2, lines=3)
        over_http(services, scope, demo.questions[0])


def over_http(services: Services, scope: OrgScope, question: str) -> None:
    """Serve the HTTP API for a moment, and show what a program sees."""
    from pipeline.api.app import create_app  # noqa: PLC0415 - loaded when the crawl has left the cores
    from pipeline.api.serving import Server  # noqa: PLC0415
    from pipeline.client import Client, crawls, retrieval  # noqa: PLC0415

    heading("The same over HTTP")
    settings = services.settings.model_copy(update={"api": services.settings.api.model_copy(update={"port": 0})})
    key = services.keys.for_org(scope.org_id, name="demo", scopes=["crawl:read", "search:read"], partner_id=None)
    with Server(create_app(services), settings) as server, Client(server.url, key.shown or "") as client:
        tell(f"$ curl {server.url}/crawl --header 'Authorization: Bearer sw_org_…'")
        for site in client.each(crawls.websites()):
            tell(f"  {site['url']}: {site['page_stats']['synced']} pages known")
        tell(f"$ curl {server.url}/retrieve --header … --json '{json.dumps({'message': question})}'")
        briefing = client.send(retrieval.retrieve(question))
        tell(
            f"  answerable: {json.dumps(briefing['answerable'])}, {len(briefing['passages'])} passages, the first from"
        )
        tell(f"  {briefing['passages'][0]['url'] if briefing['passages'] else 'nowhere'}")
    services.keys.revoke(key.id)


def heading(text: str) -> None:
    """A line that begins a part."""
    rule = "─" * max(0, 76 - len(text))
    tell(f"\n── {text} {rule}")


def tell(line: str) -> None:
    """A line on stdout, at once: the crawl writes beside us."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
