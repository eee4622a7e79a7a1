"""The server is killed after it committed and before it answered: who asks again gets the first answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import open_services
from pipeline.settings import Settings, read_settings

ORGS = "/partner/v1/orgs"
PATIENCE_SECONDS = 60
SERVER = """
import os, signal, sys
from contextlib import contextmanager
from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import open_services
from pipeline.db.engine import Database
from pipeline.settings import read_settings

together = Database.together

@contextmanager
def dies(database):
    with together(database) as session:
        yield session
    os.kill(os.getpid(), signal.SIGKILL)

Database.together = dies
services = open_services(read_settings())
with Server(create_app(services), services.settings) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def mortal_server(settings: Settings) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The API in a process that dies when the first change is committed, and where it answers."""
    environment = {**os.environ, "SITEWISE_DATA_DIR": str(settings.data_dir), "SITEWISE_API__PORT": "0"}
    child = subprocess.Popen(  # noqa: S603 - the lines above
        [sys.executable, "-c", SERVER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip(), child
        finally:
            child.kill()


def test_the_first_answer_survives_a_kill(tmp_path: Path) -> None:
    """Made once, and answered as it was made: with the token that is shown once."""
    settings = read_settings(data_dir=tmp_path, api={"port": 0})
    with open_services(settings) as services:
        partner = services.provisioning.add_partner("Acme")
        key = services.keys.for_partner(partner.id, name="k").shown
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "once"}
    body = {"name": "Shop", "external_id": "cus_1"}

    with mortal_server(settings) as (url, child):
        with pytest.raises(httpx.TransportError):
            httpx.post(url + ORGS, json=body, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)
        assert child.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    with (
        open_services(settings) as services,
        Server(create_app(services), settings) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as client,
    ):
        first = client.post(ORGS, json=body)
        second = client.post(ORGS, json=body)
        listed = client.get(ORGS).json()["items"]

    assert first.status_code == 201
    assert first.headers["idempotency-replayed"] == "true"
    assert first.json()["widget_token"].startswith("sw_widget_")
    assert second.content == first.content
    assert [org["id"] for org in listed] == [first.json()["id"]]
