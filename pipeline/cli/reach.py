"""Which commands reach a deployment elsewhere, with which key, and by which routes; and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import InvalidInput


class NotOverServer(InvalidInput):
    """This works only on the machine where Sitewise runs."""

    remedy = "Run it there, without --server."


@dataclass(frozen=True, slots=True)
class Over:
    """A command over HTTP: the kind of key it needs, and the routes it asks."""

    key: Literal["org", "partner"]
    routes: tuple[str, ...]


def _org(*routes: str) -> Over:
    return Over("org", routes)


def _partner(*routes: str) -> Over:
    return Over("partner", routes)


PARTNERS = "who may make orgs is decided by whoever runs the deployment"
MODEL = "the model is one for all orgs, and chosen by whoever runs the deployment"
JOB = "GET /jobs/{job_id}"
FIND = "GET /pages/find"
SCHEDULES = "GET /schedules"
ORGS = "GET /partner/v1/orgs"

REACH: Mapping[str, Over | str] = {
    "crawl": _org(
        "POST /crawl", "PATCH /crawl/{datasource_id}", "POST /crawl/{datasource_id}/crawls", JOB, "POST /crawl/preview"
    ),
    "ask": _org("POST /retrieve"),
    "briefing": _org("GET /retrieve/{briefing_id}"),
    "why": _org("GET /pages/why"),
    "status": _org("GET /status", "GET /crawl", "GET /jobs", "GET /readyz"),
    "page list": _org("GET /pages"),
    "page show": _org(FIND),
    "page history": _org(
        FIND,
        "GET /crawl/{datasource_id}/pages/{page_id}/history",
        "GET /crawl/{datasource_id}/pages/{page_id}/said",
    ),
    "page rollback": _org(FIND, "POST /crawl/{datasource_id}/pages/{page_id}/rollback"),
    "jobs list": _org("GET /jobs", "GET /crawl"),
    "jobs show": _org(JOB),
    "jobs cancel": _org(JOB, "POST /crawl/{datasource_id}/crawls/{job_id}/cancel"),
    "jobs approve": _org(JOB, "POST /crawl/{datasource_id}/crawls/{job_id}/approve"),
    "jobs reject": _org(JOB, "POST /crawl/{datasource_id}/crawls/{job_id}/reject"),
    "jobs rollback": _org(JOB, "POST /crawl/{datasource_id}/crawls/{job_id}/rollback"),
    "schedule list": _org(SCHEDULES),
    "schedule next": _org("GET /schedules/next"),
    "schedule pause": _org(SCHEDULES, "PATCH /crawl/{datasource_id}"),
    "schedule resume": _org(SCHEDULES, "PATCH /crawl/{datasource_id}"),
    "schedule run": _org(SCHEDULES, "POST /crawl/{datasource_id}/crawls", "GET /status"),
    "dead list": _org("GET /dead-letters"),
    "dead show": _org("GET /dead-letters/{letter_id}"),
    "dead redrive": _org("POST /dead-letters/{letter_id}/redrive", "POST /dead-letters/redrive"),
    "rederive start": _org("POST /rederive"),
    "rederive status": _org("GET /rederive"),
    "rederive cancel": _org("DELETE /rederive"),
    "training add": _org("POST /training", "POST /training/directories"),
    "training list": _org("GET /training"),
    "training publish": _org("POST /training/{scenario_id}/publish"),
    "training versions": _org("GET /training/{scenario_id}/versions"),
    "training rollback": _org("POST /training/{scenario_id}/rollback"),
    "training delete": _org("DELETE /training/{scenario_id}"),
    "training import": _org("POST /training/import"),
    "training export": _org("GET /training/export"),
    "training lint": _org("POST /training/lint"),
    "evaluate run": _org("POST /evaluation", "GET /evaluation/history"),
    "evaluate add": _org("POST /evaluation/questions"),
    "evaluate import": _org("POST /evaluation/questions/import"),
    "evaluate list": _org("GET /evaluation/questions"),
    "evaluate remove": _org("DELETE /evaluation/questions/{question_id}"),
    "org list": _partner(ORGS),
    "org erase": _partner(ORGS, "DELETE /partner/v1/orgs/{org_id}", "GET /partner/v1/erasures/{org_id}"),
    "partner list": _partner("GET /partner/v1"),
    "key create": _partner(ORGS, "POST /partner/v1/orgs/{org_id}/api-keys"),
    "key list": _partner(ORGS, "GET /partner/v1/orgs/{org_id}/api-keys"),
    "key revoke": _partner(ORGS, "DELETE /partner/v1/orgs/{org_id}/api-keys/{key_id}"),
    "partner create": PARTNERS,
    "partner deactivate": PARTNERS,
    "partner activate": PARTNERS,
    "partner limits": "limits of an org's own are set by whoever runs the deployment",
    "reembed start": MODEL,
    "reembed status": MODEL,
    "reembed pause": MODEL,
    "reembed resume": MODEL,
    "reembed cancel": MODEL,
    "reembed rollback": MODEL,
    "reembed finish": MODEL,
    "workers": "it names machines that all orgs share; `sitewise status` tells what of yours waits, and who listens",
    "verify": "it compares the deployment's own database with its own vectors",
    "settings": "settings are those of the machine that it runs on",
    "db upgrade": "the tables are brought up to a version by the machine that has it",
    "up": "it runs a deployment on this machine",
    "serve": "it serves a deployment on this machine",
}
"""Every command."""


def sentence_for(command: str) -> str | None:
    """Why a command, or all of a group of commands, does not reach elsewhere; None where it does, or some do."""
    found = [how for name, how in REACH.items() if name == command or name.partition(" ")[0] == command]
    return found[0] if found and all(isinstance(how, str) for how in found) else None  # type: ignore[return-value] # checked
