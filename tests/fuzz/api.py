"""Asks a served API whatever its document allows and forbids: `python -m tests.fuzz.api`.

No answer is a 500, each is one that the document has, and none takes long.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from pipeline.db.engine import Database
from pipeline.db.revision import upgrade
from pipeline.errors import InvalidInput
from pipeline.settings import DatabaseSettings
from tests.fakes.knowledge import SITE
from tests.lab.api import ApiLab, LabOrg, served

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
SLOWEST_SECONDS = 5.0
"""Of an answer, on a machine that does other things as well."""

EXAMPLES = 10_000
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
ERASES_THE_ORG = ("delete", "/partner/v1/orgs/{org_id}")


@dataclass
class Findings:
    """What was asked and what was found."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, more: Findings) -> None:
        """Take in what another turn found; of a problem that both met, what the first said."""
        self.asked += more.asked
        self.statuses += more.statuses
        self.slowest = max(self.slowest, more.slowest)
        self.problems = more.problems | self.problems


class NoPreviews:
    """Looks at no website: a guess at an address must not be a request to it."""

    def preview(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise InvalidInput(field="url")


def ask_everything(lab: ApiLab, *, examples: int, thoroughly: bool = True, turn: int = 0) -> Findings:
    """Ask so many things of every operation: half as the document allows, half as it forbids; half of what is there.

    Of some there are fewer to ask; each `turn` asks others. Not thoroughly, of every second operation only what is
    allowed, of the others what is forbidden, of what is there.
    """
    lab.services.__dict__["previews"] = NoPreviews()
    org = lab.org(f"Fuzzed {turn}")
    ids = _ids(lab, org)
    schema = schemathesis.openapi.from_dict(lab.anyone.get("/openapi.json").json())
    findings = Findings()
    for place, result in enumerate(schema.get_all_operations()):
        operation = result.ok()  # type: ignore[union-attr] # our own document can be read
        key = lab.partner_key if operation.path.startswith("/partner") else org.key
        known = {name: ids[name] for name in re.findall(r"{(\w+)}", operation.path)}
        if (operation.method.lower(), operation.path) == ERASES_THE_ORG:
            known = {}
        for mode in MODES if thoroughly else MODES[place % 2 :][:1]:
            for given_ids in [known, None] if known and thoroughly else [known or None]:
                part = -(-examples // (4 if known else 2))
                _ask(operation, mode, given_ids, part, findings, call=(lab.url, key), turn=turn)
    return findings


def _ask(
    operation: Any,  # noqa: ANN401 - generic over schemathesis' own types
    mode: GenerationMode,
    ids: Mapping[str, str] | None,
    examples: int,
    findings: Findings,
    *,
    call: tuple[str, str],
    turn: int,
) -> None:
    url, key = call
    strategy = operation.as_strategy(generation_mode=mode, path_parameters=dict(ids) if ids else None)

    @seed(turn)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def ask(case: Any) -> None:  # noqa: ANN401 - as above
        findings.asked += 1
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
        began = time.perf_counter()
        response = case.call(base_url=url, timeout=30)
        findings.slowest = max(findings.slowest, time.perf_counter() - began)
        findings.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (FailureGroup, Failure) as failure:
            label = f"{operation.method.upper()} {operation.path} {response.status_code}"
            findings.problems.setdefault(label, f"{failure}\n{case.as_curl_command()}"[:1_500])

    with suppress(Unsatisfiable):  # nothing can be forbidden where only an id is given, and that is right
        ask()


def _ids(lab: ApiLab, org: LabOrg) -> dict[str, str]:
    """Ids of things that are there, by the names that paths have for them."""
    datasource = org.http.post("/crawl", json={"url": SITE, "auto_start_crawl": False}).json()["id"]
    directory = org.http.post("/training/directories", json={"name": "Folder"}).json()["id"]
    webhook = org.http.post("/webhooks", json={"url": "https://platform.example/"}).json()["id"]
    scenario = org.http.post("/training", json={"title": "Refunds", "content": "Ask for the number."}).json()["id"]
    golden = {"question": "Do you ship to Norway?", "urls": [SITE]}
    question = org.http.post("/evaluation/questions", json=golden).json()["id"]
    keys = f"/partner/v1/orgs/{org.id}/api-keys"
    key = lab.partner.post(keys, json={"name": "spare"}).json()["id"]
    return {
        "org_id": str(org.id),
        "key_id": key,
        "datasource_id": datasource,
        "job_id": org.http.post(f"/crawl/{datasource}/crawls").json()["id"],
        "page_id": datasource,
        "directory_id": directory,
        "scenario_id": scenario,
        "briefing_id": org.http.post("/retrieve", json={"message": "How?"}).json()["id"],
        "webhook_id": webhook,
        "delivery_id": webhook,
        "letter_id": webhook,
        "question_id": question,
    }


@contextmanager
def fresh_lab() -> Iterator[ApiLab]:
    """A served API on an empty database of its own."""
    data_dir = Path(tempfile.mkdtemp())
    database = Database(DatabaseSettings(), data_dir=data_dir)
    upgrade(database)
    database.close()
    try:
        with served(data_dir, log_level="error") as lab:
            yield lab
    finally:
        shutil.rmtree(data_dir)


def main() -> int:
    """Ask, and tell what was found. The exit status: 0 nothing, 1 something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.api", description="Fuzz the HTTP API.")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help=f"requests in all, at least [{EXAMPLES}]")
    options = parser.parse_args()
    with fresh_lab() as lab:
        operations = sum(len(methods) for methods in lab.anyone.get("/openapi.json").json()["paths"].values())
        findings, turn = Findings(), 0
        while (left := options.examples - findings.asked) > 0:
            findings.add(ask_everything(lab, examples=max(4, -(-left // operations)), turn=turn))
            turn += 1
    by_status = ", ".join(f"{status}: {count}" for status, count in sorted(findings.statuses.items()))
    sys.stdout.write(f"{findings.asked} requests, slowest {findings.slowest:.2f} s; {by_status}\n")
    for label, problem in findings.problems.items():
        sys.stdout.write(f"\n{label}\n{problem}\n")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
