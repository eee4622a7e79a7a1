"""Writes small PDF documents, sound ones and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FONTS = {"plain": "Helvetica", "bold": "Helvetica-Bold", "fixed": "Courier"}
WIDTH, HEIGHT = 595, 842


@dataclass(frozen=True, slots=True)
class Text:
    """A line on a page: where it begins, in points from the lower left corner, and how it looks."""

    text: str
    y: float
    x: float = 72
    size: float = 11
    font: str = "plain"
    grey: float = 0

    def written(self) -> str:
        """What shows it."""
        escaped = self.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        return f"BT {self.grey} g /{self.font} {self.size} Tf {self.x} {self.y} Td ({escaped}) Tj ET"


def make_pdf(
    pages: Sequence[Sequence[Text]],
    *,
    told: Mapping[str, str] | None = None,
    language: str = "",
    link: str = "",
    trailer: str = "",
) -> bytes:
    """A document of these pages, with what it says about itself, and a link on its first page."""
    fonts = " ".join(f"/{name} << /Type /Font /Subtype /Type1 /BaseFont /{base} >>" for name, base in FONTS.items())
    annotation = f"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI ({link}) >> >>]"
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    said = " ".join(f"/{name} ({value})" for name, value in (told or {}).items())
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {f'/Lang ({language})' if language else ''} >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} /MediaBox [0 0 {WIDTH} {HEIGHT}] >>",
        f"<< {said} >>",
    ]
    for number, lines in enumerate(pages):
        resources = f"/Resources << /Font << {fonts} >> >>"
        extra = annotation if link and number == 0 else ""
        objects.append(f"<< /Type /Page /Parent 2 0 R {resources} /Contents {5 + 2 * number} 0 R {extra} >>")
        drawn = "\n".join(line.written() for line in lines)
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    return join_objects([one.encode("latin-1") for one in objects], trailer=f"/Info 3 0 R {trailer}")


def join_objects(objects: Sequence[bytes], *, trailer: str = "") -> bytes:
    """A document of these objects, numbered from 1; the first is its catalogue."""
    body = bytearray(b"%PDF-1.7\n")
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % place for place in places)
    body += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(body)
