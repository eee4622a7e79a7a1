"""What goes wrong is told in a line: what happened, what is kept, what to do. The exit status says whose turn it is."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.bootstrap import open_services
from pipeline.services.crawls import NewDatasource
from pipeline.settings import read_settings
from tests.end_to_end.conftest import free_port
from tests.lab.command import Finished, Sitewise
from tests.lab.site import LabSite
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.tls import self_signed

FAILURE, BAD_INPUT, NOTHING_KEPT = 1, 2, 3
NO_PORT = "127.0.0.1:1"


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sitewise]:
    """The command, for a data directory whose owner is up: a crawl costs little more than its spider."""
    sitewise = Sitewise(tmp_path_factory.mktemp("owned") / "kb")
    owner = sitewise.start("up", "--port", free_port())
    owner.until_said("are up")
    yield sitewise
    owner.interrupt()
    assert owner.wait().status == 0


@pytest.fixture
def site() -> Iterator[LabSite]:
    """A small website."""
    with LabSite() as lab:
        yield lab


def in_one_line(finished: Finished) -> str:
    """What a command that could not begin said: one line, no trace, nothing on stdout."""
    assert finished.out == ""
    assert "Traceback" not in finished.err
    lines = finished.err.splitlines()
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("sitewise: ")
    return lines[0]


# --- the address ---------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["shop", "ftp://shop.example/", "https://"])
def test_what_is_no_address_is_refused(fresh: Sitewise, url: str) -> None:
    """Something that is not a web address is bad input, and leaves nothing behind."""
    finished = fresh.run("crawl", url)

    assert finished.status == BAD_INPUT
    assert "https://www.example.com/" in in_one_line(finished)
    assert not fresh.data_dir.exists()


def test_an_inner_address_is_refused(fresh: Sitewise) -> None:
    """An address inside a network is refused, and the setting that would allow it is named."""
    finished = fresh.run("crawl", "http://10.0.0.1/")

    assert finished.status == BAD_INPUT
    assert "SITEWISE_CRAWL__ALLOWED_ADDRESSES" in in_one_line(finished)


def test_an_option_out_of_bounds_is_refused(fresh: Sitewise) -> None:
    """A number out of its bounds is named with what is allowed."""
    finished = fresh.run("crawl", f"http://{NO_PORT}/", "--page-limit", "0")

    assert finished.status == BAD_INPUT
    assert "1 to 5000" in in_one_line(finished)


def test_a_rule_that_cannot_be_read_is_refused(fresh: Sitewise) -> None:
    """A bad regular expression is bad input."""
    finished = fresh.run("crawl", f"http://{NO_PORT}/", "--include", "re:(")

    assert finished.status == BAD_INPUT
    assert "include_paths" in in_one_line(finished)
    assert "RE2" in in_one_line(finished)
    assert not fresh.data_dir.exists()


def test_an_unknown_option_is_bad_input(fresh: Sitewise) -> None:
    """A usage error says where help is, without a trace."""
    finished = fresh.run("crawl", "--colour")

    assert finished.status == BAD_INPUT
    assert "--colour" in finished.err
    assert "--help" in finished.err
    assert "Traceback" not in finished.err


def test_an_org_that_is_not_there_is_named(fresh: Sitewise) -> None:
    """A question to an org that nobody made is bad input; reading makes no org."""
    finished = fresh.run("--org", "nobody", "status")

    assert finished.status == BAD_INPUT
    assert "nobody" in in_one_line(finished)


# --- the site ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"), [("http://no-such-host.invalid/", "no such host"), (f"http://{NO_PORT}/", "connection refused")]
)
def test_a_host_that_does_not_answer_is_not_added(fresh: Sitewise, url: str, told: str) -> None:
    """No such host, or nobody listens there: said at once, and nothing is stored."""
    finished = fresh.run("crawl", url)

    assert finished.status == BAD_INPUT
    assert told in in_one_line(finished)
    assert not fresh.data_dir.exists()


def test_a_certificate_that_nobody_signed(fresh: Sitewise, tmp_path: Path) -> None:
    """A self-signed certificate is not believed, and is named as the reason."""
    with LabSite(tls=self_signed(tmp_path)) as site:
        site.page("/")

        finished = fresh.run("crawl", f"{site.url}/")

    assert finished.status == BAD_INPUT
    assert "certificate" in in_one_line(finished)


def test_a_known_site_that_is_down_fails_its_crawl(owned: Sitewise) -> None:
    """A website that was added is crawled whatever its host says today: the crawl fails, and what was kept is kept."""
    url = f"http://{NO_PORT}/"
    settings = read_settings(data_dir=owned.data_dir, crawl={"allowed_addresses": "127.0.0.0/8"})
    with open_services(settings) as services:
        services.crawls.add(NewDatasource(url, crawl_interval_hours=None), scope=services.orgs.ensure())

    finished = owned.run("crawl", url)

    assert finished.status == FAILURE
    assert "connection refused" in finished.err
    assert "What was kept before is kept" in finished.err


def test_rules_that_match_nothing_are_refused(fresh: Sitewise, site: LabSite) -> None:
    """The site is looked at first: addresses it does have are named, and nothing is stored."""
    site.page("/", links=["/help/orders", "/blog/"])

    finished = fresh.run("crawl", f"{site.url}/", "--include", "/docs/*")

    assert finished.status == BAD_INPUT
    assert "/help/orders" in in_one_line(finished)
    assert not fresh.data_dir.exists()


def test_robots_that_forbid_everything(owned: Sitewise, site: LabSite) -> None:
    """A site that wants no robots is left alone: nothing kept, and the reason counted."""
    site.robots("User-agent: *\nDisallow: /\n")
    site.page("/")

    finished = owned.run("crawl", f"{site.url}/")
    why = owned.run("why", f"{site.url}/")

    assert finished.status == NOTHING_KEPT
    assert "1 robots" in finished.out
    assert "Nothing was kept" in finished.err
    assert "robots.txt" in why.out
    assert site.paths() == []


def test_a_site_without_a_page_worth_keeping(owned: Sitewise, site: LabSite) -> None:
    """A site of thin pages ends well and keeps nothing."""
    site.page("/", "<html><body><main>Soon.</main></body></html>")

    finished = owned.run("crawl", f"{site.url}/", "--json")

    assert finished.status == NOTHING_KEPT
    assert finished.json()["refusals"] == {"thin": 1}


def test_a_start_page_that_is_no_page(owned: Sitewise, site: LabSite) -> None:
    """Something binary at the start is refused as such."""
    site.respond("/", headers=[("Content-Type", "application/octet-stream")], body=bytes(range(256)) * 8)

    finished = owned.run("crawl", f"{site.url}/", "--json")

    assert finished.status == NOTHING_KEPT
    assert finished.json()["refusals"] == {"not_html": 1}


# --- the data directory --------------------------------------------------------------------


def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in its place: said at once, with the way out."""
    (tmp_path / "kb").write_text("a file")

    finished = Sitewise(tmp_path / "kb").run("status")

    assert finished.status == FAILURE
    assert "--data-dir" in in_one_line(finished)


def test_a_data_directory_that_is_full(fresh: Sitewise) -> None:
    """Where nothing fits any more, no work begins."""
    finished = fresh.run("status", file_limit=100_000)

    assert finished.status == FAILURE
    assert "Free some space" in in_one_line(finished)


def test_a_data_directory_of_a_newer_version(fresh: Sitewise) -> None:
    """What a newer Sitewise wrote is left alone."""
    fresh.run("db", "upgrade")
    with sqlite3.connect(fresh.data_dir / "sitewise.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()

    finished = fresh.run("status")

    assert finished.status == FAILURE
    assert "Upgrade Sitewise" in in_one_line(finished)


def test_a_data_directory_that_another_process_holds(owned: Sitewise) -> None:
    """A second owner is refused and told who holds the directory."""
    finished = owned.run("up", "--port", free_port())

    assert finished.status == FAILURE
    assert "pid: " in in_one_line(finished)


# --- what it leans on ----------------------------------------------------------------------


def test_a_database_that_is_away(fresh: Sitewise) -> None:
    """The server is named by its setting, and nothing was lost."""
    url = f"postgresql+psycopg://nobody@{NO_PORT}/none"

    finished = fresh.run("status", settings={"SITEWISE_DATABASE__URL": url})

    assert finished.status == FAILURE
    assert "SITEWISE_DATABASE__URL" in in_one_line(finished)


@pytest.mark.parametrize("command", ["ask", "crawl"])
def test_a_vector_store_that_is_away(fresh: Sitewise, site: LabSite, command: str) -> None:
    """A crawl that could index nothing does not begin; a question is not answered from half of what is known."""
    finished = fresh.run(command, site.url, settings={"SITEWISE_UPSERT__QDRANT_URL": f"http://{NO_PORT}"})

    assert finished.status == FAILURE
    assert "SITEWISE_UPSERT__QDRANT_URL" in in_one_line(finished)


@pytest.mark.parametrize("command", ["ask", "crawl"])
def test_a_model_that_is_not_there(fresh: Sitewise, site: LabSite, command: str) -> None:
    """A model that cannot be loaded stops a command before it begins."""
    finished = fresh.run(command, site.url, settings={"SITEWISE_EMBED__MODEL": "/no/such/model"})

    assert finished.status == FAILURE
    assert "SITEWISE_EMBED__MODEL" in in_one_line(finished)


def test_a_model_of_another_dimension(fresh: Sitewise, site: LabSite, tmp_path: Path) -> None:
    """A knowledge base of one model is not asked, or extended, with another."""
    fresh.run("ask", "What does it cost?")
    other = {"SITEWISE_EMBED__MODEL": str(write_tiny_bert(tmp_path / "tiny"))}

    asked = fresh.run("ask", "What does it cost?", settings=other)
    crawled = fresh.run("crawl", site.url, settings=other)

    for finished in (asked, crawled):
        assert finished.status == FAILURE
        assert "sitewise reembed start" in in_one_line(finished)


def test_a_setting_that_cannot_work(fresh: Sitewise) -> None:
    """A bad value is named by its setting."""
    finished = fresh.run("status", settings={"SITEWISE_CRAWL__CONCURRENCY": "many"})

    assert finished.status == FAILURE
    assert "SITEWISE_CRAWL__CONCURRENCY" in in_one_line(finished)


def test_a_port_in_use(fresh: Sitewise) -> None:
    """A port somebody listens on is refused before anything starts."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        finished = fresh.run("up", "--port", str(other.getsockname()[1]))

    assert finished.status == FAILURE
    assert "--port" in in_one_line(finished)
    assert not fresh.data_dir.exists()


def test_a_defect_is_told_in_a_line(fresh: Sitewise) -> None:
    """What nobody foresaw is one line too, with the way to see where it happened."""
    fresh.run("db", "upgrade")
    with sqlite3.connect(fresh.data_dir / "sitewise.db") as database:
        database.execute("ALTER TABLE orgs RENAME TO elsewhere")
    database.close()

    finished = fresh.run("status")

    traced = fresh.run("status", settings={"SITEWISE_LOG_LEVEL": "debug"})

    assert finished.status == FAILURE
    assert "SITEWISE_LOG_LEVEL=debug" in in_one_line(finished)
    assert traced.status == FAILURE
    assert "Traceback" in traced.err
