"""How the browser is started: without any network of its own, and without our environment.

Every request of a page is answered by the crawl's own client, behind the address guard. What
would not ask first (a shared worker, a web socket, a popup, WebRTC, the browser itself) finds no
name that resolves, no proxy that exists and no datagram that may leave.
"""

from __future__ import annotations

import os
from pathlib import Path

from scrapy.settings import BaseSettings

from pipeline.errors import GuardBypassed

SEALED = (
    "--proxy-server=http://nowhere.invalid:9",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-quic",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",  # the switch's name in older versions
)
"""Arguments that leave Chromium no way to connect: the proxy's name does not resolve, and nothing passes it by."""

_QUIET = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--max-old-space-size=384",  # MB of JavaScript objects a page may have
)
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR")


def launch_options(program: Path, home: Path) -> dict[str, object]:
    """Playwright's options to start this program, sealed; `home` is the only folder it may take for its own."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        "executable_path": str(program),
        "args": [*SEALED, *_QUIET],
        "chromium_sandbox": os.geteuid() != 0,  # Chromium refuses its sandbox to root
        "env": {**kept, "HOME": str(home)},
        "handle_sigint": False,
        "handle_sigterm": False,
        "handle_sighup": False,
    }


def refuse_open_browser(settings: BaseSettings) -> None:
    """Refuse settings that would start scrapy-playwright's browser in another way than ours.

    Raises:
        GuardBypassed: Naming them.
    """
    named = sorted(str(name) for name in settings if str(name).startswith("PLAYWRIGHT_"))
    if named:
        raise GuardBypassed(cause=f"the browser would be started as {', '.join(named)} say")
