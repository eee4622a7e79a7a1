"""Provision a customer, from nothing to an answer. Run it again within a day: nothing is made twice.

SITEWISE_SERVER=http://127.0.0.1:8000 SITEWISE_KEY=sw_partner_… python deploy/examples/provision.py cus_42 https://www.example.com/
"""

from __future__ import annotations

import os
import sys
import threading
from uuid import NAMESPACE_OID, uuid5

from pipeline.client import Client, ServerRefused, crawls, partner, retrieval, training

ENDED = ("completed", "failed", "cancelled")
SCENARIOS = (
    ("Tone of voice", "Answer in short, friendly sentences.", {"type": "BEHAVIORAL"}),
    ("Refunds", "Ask for the order number first.", {"triggers": ["I want my money back", "Can I return this?"]}),
)
QUESTION = "Can I send it back and get my money?"


def provision(server: str, key: str, *, customer: str, website: str, look_every: float = 2.0) -> dict[str, object]:
    """Org, key, crawl, training, answer. Returns what an AI responder is told, and the ids that were made.

    Args:
        server: The API's address.
        key: A partner key.
        customer: How you call the customer: its org is found by it.
        website: What to read.
        look_every: Seconds between two looks at the crawl.
    """
    mark = uuid5(NAMESPACE_OID, customer)  # a name that any header takes: the same at every run
    with Client(server, key) as partners:
        try:
            org = partners.send(partner.add_org(customer, external_id=customer, website=website))
        except ServerRefused as refused:
            if refused.code != "org_exists":
                raise
            (org,) = partners.each(partner.orgs(external_id=customer))
        own = partners.send(partner.add_key(org["id"], "provisioning").keyed(f"{mark} key"))
    with Client(server, own["api_key"]) as client:
        site = client.send(crawls.add(website, page_limit=100).keyed(f"{mark} website"))
        while (job := next(iter(client.each(crawls.jobs(site["id"])))))["status"] not in ENDED:
            threading.Event().wait(look_every)
        made = [
            client.send(training.add(title, content, **fields).keyed(f"{mark} {title}"))
            for title, content, fields in SCENARIOS
        ]
        briefing = client.send(retrieval.retrieve(QUESTION, channel="email"))
    ids = {"org": org["id"], "key": own["id"], "website": site["id"], "scenarios": [one["id"] for one in made]}
    return {"ids": ids, "job": job, "briefing": briefing}


def main() -> int:
    """Provision the customer named on the command line, and show the answer."""
    customer, website = sys.argv[1:]
    done = provision(os.environ["SITEWISE_SERVER"], os.environ["SITEWISE_KEY"], customer=customer, website=website)
    sys.stdout.write(f"{done['ids']}\n{done['briefing']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
