"""Partners make orgs and keys over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.lab.api import ApiLab, served

ORGS = "/partner/v1/orgs"


@pytest.fixture(scope="module")
def lab(sqlite_template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:  # type: ignore[no-untyped-def]
    """The API, with one partner."""
    data_dir = tmp_path_factory.mktemp("api")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    with served(data_dir) as lab:
        yield lab


def test_an_org_is_made_and_shown(lab: ApiLab) -> None:
    """What a partner says of a customer comes back, with an id and a widget token."""
    body = {"name": "Lumen & Oak", "external_id": "cus_1", "website": "https://shop.example/", "integrations": {"a": 1}}

    made = lab.partner.post(ORGS, json=body)
    shown = lab.partner.get(f"{ORGS}/{made.json()['id']}")

    assert made.status_code == 201
    assert made.json()["widget_token"].startswith("sw_widget_")
    assert shown.status_code == 200
    assert shown.json() == made.json() | {"widget_token": None}
    assert shown.json().items() >= body.items()
