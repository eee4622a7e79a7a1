"""Fuzz one parser for a while: `python -m tests.fuzz urls --seconds 60`; without a name, each in turn.

With atheris installed its coverage leads the way; without it, inputs are cut from the seeds at random.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from typing import NoReturn

INSTRUMENTED = ["pipeline", "spiders", "protego", "idna", "trafilatura"]

HANG = 2.0
"""Seconds of computing after which an input counts as a hang."""

NAMES = ("urls", "robots", "sitemaps", "patterns", "pages", "bodies")

_LONGEST = 4_096


class Hang(Exception):
    """An input took too long."""


def main() -> int:
    """Fuzz as the command line says; the exit status is 1 when something was found."""
    options = _options()
    if options.inside:
        _with_atheris(options.target, options.seconds)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - atheris has to see these modules being imported

    found = False
    for name in [options.target] if options.target else list(TARGETS):
        if find_spec("atheris"):
            command = [sys.executable, "-m", "tests.fuzz", name, f"--seconds={options.seconds}", "--inside"]
            ended = subprocess.run(command, check=False)  # noqa: S603 - this module again: atheris ends its process
            found |= ended.returncode != 0
        else:
            found |= _at_random(name, options.seconds)
    return int(found)


def _timed(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def feed(given: bytes) -> None:
        began = process_time()
        target(given)
        if process_time() - began > HANG:
            raise Hang(f"{process_time() - began:.1f} s")

    return feed


def _with_atheris(name: str, seconds: int) -> NoReturn:
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415 - optional

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import SEEDS, TARGETS  # noqa: PLC0415 - seen by atheris
    TARGETS[name](b"<p>hello")
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            Path(folder, str(number)).write_bytes(seed)
        arguments = [sys.argv[0], folder, f"-max_total_time={seconds}", f"-max_len={_LONGEST}", "-rss_limit_mb=4096"]
        atheris.Setup(arguments, _timed(TARGETS[name]))
        atheris.Fuzz()
    sys.exit(0)


def _at_random(name: str, seconds: int) -> bool:
    from tests.fuzz.targets import SEEDS, TARGETS  # noqa: PLC0415 - as above

    TARGETS[name](b"<p>hello")
    draw, feed, end, count = Random(name), _timed(TARGETS[name]), monotonic() + seconds, 0  # noqa: S311 - not a secret
    while monotonic() < end:
        given = _mutated(draw, SEEDS[name])
        count += 1
        try:
            feed(given)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n{given!r}\n")
            return True
    sys.stdout.write(f"{name}: {count:,} inputs, nothing found\n")
    return False


def _mutated(draw: Random, seeds: tuple[bytes, ...]) -> bytes:
    """Pieces of seeds put together anew, some of them many times, with bytes changed."""
    pieces = bytearray()
    for _ in range(draw.randint(1, 8)):
        seed = draw.choice(seeds)
        start = draw.randrange(len(seed))
        pieces += seed[start : start + draw.randint(1, len(seed))] * draw.choice((1, 1, 1, 2, 50))
    for _ in range(draw.randint(0, 6)):
        pieces[draw.randrange(len(pieces))] = draw.randrange(256)
    return bytes(pieces[:_LONGEST])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=NAMES, help="which parser; by default each in turn")
    parser.add_argument("--seconds", type=int, default=60, help="how long, for each")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
