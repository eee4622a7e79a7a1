"""Documents behind links are pages where the datasource says so, and hostile ones harm nobody."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest

from pipeline.model import Reason
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabSite
from tests.lab.crawl import crawl
from tests.lab.pdf import Text, join_objects, make_pdf

PDF = ("Content-Type", "application/pdf")
MEMORY = 150 * 2**20
WORDS = "Fill the kettle with water before it is switched on"


@pytest.fixture
def site() -> Iterator[LabSite]:
    """A site that links to a sound document, a locked one and a bomb."""
    locked = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O ({'o' * 32}) /U ({'u' * 32}) >> /ID [(a) (a)]"
    with LabSite() as site:
        site.page("/", links=["/manual.pdf", "/locked.pdf", "/bomb.pdf"])
        site.page("/spares")
        for path, body in (
            ("/manual.pdf", make_pdf([[Text("Kettle manual", 780, size=24), Text(WORDS, 700)]], link="/spares")),
            ("/locked.pdf", make_pdf([[Text(WORDS, 700)]], trailer=locked)),
            ("/bomb.pdf", bomb()),
        ):
            site.respond(path, body=body, headers=[PDF])
        yield site


def bomb() -> bytes:
    """A page of two kilobytes whose content is three times what a parser may have."""
    packer = zlib.compressobj(1)
    once = b"".join(packer.compress(bytes(2**20)) for _ in range(3 * MEMORY // 2**20)) + packer.flush()
    twice = zlib.compress(once, 9)
    return join_objects(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842] >>",
            b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>",
            b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%b\nendstream" % (len(twice), twice),
        ]
    )


def test_documents_are_pages_where_the_datasource_says_so(site: LabSite) -> None:
    """Their text is kept and their links are followed; a locked one and a bomb end with reasons of their own."""
    ledger = FakeLedger(make_plan(f"{site.url}/", documents=True))

    status = crawl(ledger, settings={"SITEWISE_EXTRACT__MEMORY_LIMIT": str(MEMORY)})

    assert status == 0
    assert ledger.kept() == {f"{site.url}{path}" for path in ("/", "/manual.pdf", "/spares")}
    manual = ledger.outcome(f"{site.url}/manual.pdf").document
    assert manual is not None
    assert (manual.title, manual.markdown) == ("Kettle manual", f"# Kettle manual\n\n{WORDS}")
    locked, broken = (ledger.outcome(f"{site.url}{path}") for path in ("/locked.pdf", "/bomb.pdf"))
    assert (locked.reason, "encrypted" in (locked.detail or "")) == (Reason.NOT_HTML, True)
    assert (broken.reason, "memory" in (broken.detail or "")) == (Reason.POISON, True)
