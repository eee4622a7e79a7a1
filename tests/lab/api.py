"""The HTTP API on a loopback port, in a thread: real sockets, SQLite, fakes for model, vectors and hints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import Services
from tests.fakes.knowledge import Knowledge

ANSWER_SECONDS = 30.0
UNLIMITED = {"key_requests_per_minute": 0, "org_requests_per_minute": 0, "retrievals_per_minute": 0}
"""The lab's clock stands still: a bucket would never fill again."""

PATIENT = {"patience": "20"}
"""On a machine that does much else, an answer is late and whole rather than in time without a part."""


@dataclass(frozen=True, slots=True)
class LabOrg:
    """An org with a key of its own, and a client that uses it."""

    id: UUID
    key: str = field(repr=False)
    http: httpx.Client


class ApiLab:
    """A served API, a partner, and orgs as tests want them. Clients keep no cookie and follow nothing."""

    def __init__(self, knowledge: Knowledge, server: Server) -> None:
        """Make the partner."""
        self.knowledge = knowledge
        self.url = server.url
        self.partner_id = self.services.provisioning.add_partner("Lab").id
        self.partner_key = self.new_partner_key(self.partner_id)
        self._clients: list[httpx.Client] = []
        self.anyone = self.client(None)
        self.partner = self.client(self.partner_key)

    @property
    def services(self) -> Services:
        """The services behind the API."""
        return self.knowledge.services

    def client(self, key: str | None) -> httpx.Client:
        """A client that sends this key."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        made = httpx.Client(base_url=self.url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        self._clients.append(made)
        return made

    def new_partner_key(self, partner_id: UUID) -> str:
        """Another key of a partner's."""
        return self.services.keys.for_partner(partner_id, name="lab").shown or ""

    def other_partner(self) -> httpx.Client:
        """A client of a new partner's."""
        made = self.services.provisioning.add_partner(f"Partner {uuid4().hex}")
        return self.client(self.new_partner_key(made.id))

    def org_key(self, org_id: UUID, *scopes: str) -> str:
        """A key of this org's; one that may do everything, if no scopes are named."""
        made = self.services.keys.for_org(org_id, name="lab", scopes=scopes or None, partner_id=self.partner_id)
        return made.shown or ""

    def org(self, name: str = "Shop", **fields: Any) -> LabOrg:  # noqa: ANN401 - whatever the API takes
        """A new org of the partner's, made over HTTP, with a key that may do everything."""
        made = self.partner.post("/partner/v1/orgs", json={"name": name, **fields})
        assert made.status_code == 201, made.text
        org_id = UUID(made.json()["id"])
        key = self.org_key(org_id)
        return LabOrg(org_id, key, self.client(key))

    def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            client.close()


@contextmanager
def served(data_dir: Path, *, database_url: str | None = None, **settings: object) -> Iterator[ApiLab]:
    """The API on this directory's database, whose tables are there already. One a test module is enough."""
    chosen: dict[str, Any] = {"api": {"port": 0}, "limits": UNLIMITED, "retrieve": PATIENT, **settings}
    knowledge = Knowledge(data_dir, database_url=database_url, **chosen)
    try:
        with Server(create_app(knowledge.services), knowledge.settings) as server:
            lab = ApiLab(knowledge, server)
            try:
                yield lab
            finally:
                lab.close()
    finally:
        knowledge.services.close()
