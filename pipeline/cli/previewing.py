"""`sitewise crawl --preview`: what a crawl would do, for a person or a machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

from pipeline.bootstrap import open_services
from pipeline.cli.output import print_json, print_line, print_table, say
from pipeline.cli.session import chosen
from pipeline.model import Reason
from pipeline.services.reasons import MEANINGS

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.preview import Look
    from pipeline.services.previewing import Preview
    from pipeline.services.websites import NewDatasource
    from pipeline.settings import Settings

SOMETHING, NOTHING = 0, 3
"""Exit statuses: a crawl would keep something, or nothing."""

_TITLE = 60


def preview(new: NewDatasource, settings: Settings, *, as_json: bool) -> int:
    """Look at a website and show what a crawl would do. Returns the exit status."""
    with _services(settings) as services:
        services.previews.vet_host(new)
        found = services.previews.preview(new, on_news=_Progress())
    if as_json:
        print_json(found)
    else:
        show(found)
    return SOMETHING if found.pages else NOTHING


def _services(settings: Settings) -> AbstractContextManager[Services]:
    """Those of the deployment elsewhere, where one is chosen; here without a database."""
    client = chosen.client()
    if client is None:
        return open_services(settings)
    from pipeline.cli.remote import RemoteServices  # noqa: PLC0415 - a client, which is needed only there

    return cast("Services", RemoteServices(client))


def show(found: Preview) -> None:
    """Print a preview for a person."""
    print_line(_headline(found))
    print_line(f"  {found.visited} of {found.found} addresses looked at in {found.seconds:.1f} s")
    print_line(f"  {_sitemaps(found)}")
    print_line(f"  {_robots(found)}")
    if found.pages:
        print_line("")
        rows = [[page.words, page.title[:_TITLE], page.url] for page in found.pages]
        print_table(["words", "title", "url"], rows, empty="")
    for refusal in found.refusals:
        print_line("")
        print_line(f"{refusal.count} {refusal.reason}: {MEANINGS[Reason(refusal.reason)]}")
        for example in refusal.examples:
            print_line(f"  {example.url}{f'  {example.detail}' if example.detail else ''}")
    if found.problem:
        say(f"{found.problem[:1].upper()}{found.problem[1:]}.")
    say("Nothing was stored; the same command without --preview crawls.")


def _headline(found: Preview) -> str:
    if not found.pages_expected:
        return f"A crawl of {found.url} would keep nothing."
    about = "" if found.is_exact else "at least " if found.is_growing and not found.limit_reached else "about "
    limit = " (the page limit; there are more, and --page-limit raises it)" if found.limit_reached else ""
    pages = f"{found.pages_expected} page{'' if found.pages_expected == 1 else 's'}"
    return f"A crawl of {found.url} would keep {about}{pages}{limit} in about {_time(found.seconds_expected)}."


def _sitemaps(found: Preview) -> str:
    if not found.sitemaps:
        return "no sitemap found"
    return f"{found.sitemaps} sitemap{'' if found.sitemaps == 1 else 's'} with {found.sitemap_urls} addresses"


def _robots(found: Preview) -> str:
    if found.robots_status is None:
        return "robots.txt gave no answer that says what is allowed"
    delay = f", and asks for {found.crawl_delay:g} s between two requests" if found.crawl_delay else ""
    return f"robots.txt answered {found.robots_status}{delay}"


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{seconds:.0f} s"


class _Progress:
    """Says now and then how far a look is."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, look: Look) -> None:
        if look.visited >= self._shown + 10:
            self._shown = look.visited
            say(f"looking: {look.visited} addresses read, {look.found} found")
