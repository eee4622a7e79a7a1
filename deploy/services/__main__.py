"""PostgreSQL, Redis, Qdrant and a browser for tests: start, stop, tell where they are. Starting twice is harmless."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from deploy.services.browser import bring_browser
from deploy.services.containers import find_engine, start_container
from deploy.services.native import start_postgres, start_qdrant, start_redis
from deploy.services.record import (
    ENVIRONMENT,
    FOLDER,
    RECORD,
    Server,
    ServiceUnavailable,
    read_servers,
    variable,
    write_servers,
)

NATIVE: dict[str, Callable[[], Server]] = {"postgres": start_postgres, "redis": start_redis, "qdrant": start_qdrant}


def main() -> int:
    """Do what was asked; 1 when a server could not be started."""
    parser = argparse.ArgumentParser(prog="python -m deploy.services", description=__doc__)
    actions = {"start": start, "stop": stop, "addresses": addresses}
    parser.add_argument("action", choices=actions)
    return actions[parser.parse_args().action]()


def start() -> int:
    """Start what does not answer yet, and record it after each one."""
    FOLDER.mkdir(exist_ok=True)
    servers = {name: server for name, server in read_servers().items() if server.answers()}
    absent = [name for name in NATIVE if name not in servers]
    engine = find_engine() if absent else None
    for name in absent:
        began = time.monotonic()
        try:
            servers[name] = _start(name, engine)
        except ServiceUnavailable as error:
            _say(f"{name}: NOT STARTED. {error}")
            continue
        write_servers(servers)
        _say(f"{name}: started in {time.monotonic() - began:.1f} s ({servers[name].engine or 'native'})")
    write_servers(servers)
    if not absent:
        _say("all servers answer already")
    has_browser = _bring_browser()
    _say(f"addresses are in {ENVIRONMENT.relative_to(FOLDER.parent)}, where `make test` finds them")
    return 0 if has_browser and len(servers) == len(NATIVE) else 1


def _bring_browser() -> bool:
    try:
        program, is_new = bring_browser()
    except ServiceUnavailable as error:
        _say(f"browser: NOT THERE. {error}")
        return False
    _say(f"browser: {program}{' installed' if is_new else ''}")
    return True


def stop() -> int:
    """Stop every server started from this checkout, and delete what they kept."""
    for server in read_servers().values():
        server.stop()
    RECORD.unlink(missing_ok=True)
    ENVIRONMENT.unlink(missing_ok=True)
    return 0


def addresses() -> int:
    """Print shell lines that export the servers that answer, except where the environment names one already."""
    for name, server in read_servers().items():
        if variable(name) not in os.environ and server.answers():
            print(f"export {variable(name)}='{server.url}'")  # noqa: T201 - the shell reads it
    return 0


def _start(name: str, engine: str | None) -> Server:
    if engine:
        try:
            return start_container(engine, name)
        except ServiceUnavailable as error:
            _say(f"{name}: {error}; trying native packages")
    return NATIVE[name]()


def _say(line: str) -> None:
    print(f"services: {line}", file=sys.stderr)  # noqa: T201 - a recipe speaks to a person


if __name__ == "__main__":
    sys.exit(main())
