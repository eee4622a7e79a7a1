"""`sitewise partner` and `sitewise key`: the first keys, made at the machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import typer

from pipeline.bootstrap import Services, open_services
from pipeline.cli import partners
from pipeline.cli.session import chosen
from pipeline.errors import KeyRefused
from pipeline.model import OrgScope
from pipeline.services.orgs import DEFAULT_ORG
from pipeline.settings import read_settings


@pytest.fixture(autouse=True)
def services(sqlite_template: Path, tmp_path: Path) -> Iterator[Services]:
    """Services on the data directory that the commands are told of."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    chosen.data_dir, chosen.org = tmp_path, DEFAULT_ORG
    with open_services(read_settings(data_dir=tmp_path)) as services:
        yield services
    chosen.data_dir = None


def test_a_partner_is_made_with_a_key(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """The key alone is on stdout, so that a script can take it; it works, and is not shown again."""
    partners.create("Acme", app_name="Desk")
    key = capsys.readouterr().out.strip()
    partners.list_all(as_json=True)
    listed = json.loads(capsys.readouterr().out)
    partners.list_keys(partner=UUID(listed[0]["id"]))
    keys = capsys.readouterr().out

    assert services.keys.caller(key).kind == "partner"
    assert [(one["name"], one["status"]) for one in listed] == [("Acme", "active")]
    assert key[-4:] in keys
    assert key not in keys


def test_a_partner_is_put_out_and_taken_back(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is deleted meanwhile."""
    partners.create("Acme", as_json=True)
    made = json.loads(capsys.readouterr().out)
    key, partner = made["api_key"], UUID(made["id"])

    partners.deactivate(partner)
    with pytest.raises(KeyRefused):
        services.keys.caller(key)
    partners.activate(partner)
    partners.list_all()

    assert services.keys.caller(key).partner_id == partner
    assert "active" in capsys.readouterr().out


def test_a_list_of_keys_ends_with_the_last(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """The hundred-and-first key is listed like the first."""
    partners.create_key("0", as_json=True)
    org = services.orgs.ensure()
    for number in range(1, 102):
        services.keys.for_org(org.org_id, name=str(number), scopes=None, partner_id=None)
    capsys.readouterr()

    partners.list_keys(as_json=True)

    assert [key["name"] for key in json.loads(capsys.readouterr().out)] == [str(number) for number in range(102)]


def test_an_orgs_key_is_made_listed_and_revoked(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """For the org of the command line, with the scopes and the end it is given."""
    partners.create_key("ci", scope=["crawl:read"], expires=datetime(2100, 1, 1), as_json=True)  # noqa: DTZ001 - as typer reads it
    made = json.loads(capsys.readouterr().out)
    caller = services.keys.caller(made["api_key"])
    partners.list_keys()
    live = capsys.readouterr().out

    partners.revoke(UUID(made["id"]))
    partners.list_keys(as_json=True)
    listed = json.loads(capsys.readouterr().out)

    assert caller.scopes == {"crawl:read"}
    assert caller.expires_at == datetime(2100, 1, 1, tzinfo=UTC)
    assert "live" in live
    assert listed[0]["revoked_at"] is not None
    with pytest.raises(KeyRefused):
        services.keys.caller(made["api_key"])


def test_a_partner_gets_a_second_key(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """Two live side by side, so that one can be replaced."""
    partners.create("Acme", as_json=True)
    first = json.loads(capsys.readouterr().out)

    partners.create_key("second", partner=UUID(first["id"]))
    second = capsys.readouterr().out.strip()

    assert services.keys.caller(first["api_key"]).partner_id == services.keys.caller(second).partner_id


def test_an_org_gets_limits_of_its_own(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """Set by whoever runs the installation; and it stands in the org's audit."""
    org = services.orgs.ensure()

    partners.limits(org.org_id, ["datasources=500", "scenarios="])
    shown = capsys.readouterr().out
    partners.limits(org.org_id, ["datasources="], as_json=True)
    gone = json.loads(capsys.readouterr().out)

    assert shown.strip() == "datasources = 500"
    assert gone == {}
    actions = [entry.action for entry in services.audit.of_org(scope=OrgScope(org.org_id)).items]
    assert actions == ["limits.change"] * 2


def test_a_limit_is_a_number(services: Services) -> None:
    """Other words are refused before anything is opened."""
    with pytest.raises(typer.BadParameter):
        partners.limits(services.orgs.ensure().org_id, ["datasources=many"])
