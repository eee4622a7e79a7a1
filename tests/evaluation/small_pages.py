"""Makes pages of a few sentences out of long ones: labelled pages are long, and a website's answers are often not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

import numpy as np

from tests.evaluation.extraction import Sample

_SENTENCE = re.compile(r"[A-Z][^.!?\n]{30,200}[.!?](?=\s)")
_MENU = ("Home", "Shop", "Blog", "About us", "Contact", "Support", "Prices", "Sign in", "Careers", "Locations")
_LAYOUTS = (
    """<header><nav><ul>{menu}</ul></nav></header><main><article><h1>{title}</h1>{text}</article></main>
       <footer><ul>{menu}</ul><p>{owner}</p></footer>""",
    """<div class="menu"><ul>{menu}</ul></div><div class="row"><div class="col"><div class="h">{title}</div>
       <div class="txt">{text}</div></div></div><div class="ft"><ul>{menu}</ul></div>""",
    """<table><tr><td colspan=2><ul>{menu}</ul></td></tr><tr><td><ul>{menu}</ul></td><td><h1>{title}</h1>{text}</td>
       </tr><tr><td colspan=2>{owner}</td></tr></table>""",
    """<div id="top"><a href="/">{owner}</a></div><section><div><h2>{title}</h2>{text}</div></section>
       <div class="cookie-bar"><p>We use cookies to improve this site.</p><button>Accept</button></div>""",
    "<h1>{title}</h1>{text}",
    "<section><div>{text}",
)


def small_pages(samples: Sequence[Sample], every: int = 6) -> Iterator[Sample]:
    """One small page, of the same website, for every so many long ones that have enough sentences."""
    dice = np.random.default_rng(3)
    for number, sample in enumerate(samples[::every]):
        sentences = _SENTENCE.findall(sample.text)
        if len(sentences) < 10:
            continue
        wanted = sentences[: int(dice.integers(1, 9))]
        title = " ".join(wanted[0].split()[:4]).rstrip(",")
        menu = "".join(
            f'<li><a href="/{place}">{name}</a></li>'
            for place, name in enumerate(dice.permutation(_MENU)[: int(dice.integers(2, 8))])
        )
        layout = _LAYOUTS[number % len(_LAYOUTS)]
        body = layout.format(
            menu=menu,
            title=html.escape(title),
            text="".join(f"<p>{html.escape(sentence)}</p>" for sentence in wanted),
            owner="© 2024 Example Ltd.",
        )
        page = f"<!doctype html><html><head><title>{html.escape(title)}</title></head><body>{body}</body></html>"
        text = "\n".join((title, *wanted) if "{title}" in layout else wanted)
        yield Sample("small", sample.url, page, text)
