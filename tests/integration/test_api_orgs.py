"""Partners make orgs and keys over HTTP; orgs set and read what is theirs."""

from __future__ import annotations

from uuid import uuid4

import pytest

from pipeline.errors import InstructionsTooLong
from tests.lab.api import ApiLab

PARTNER, ORGS = "/partner/v1", "/partner/v1/orgs"


def test_an_org_is_made_and_shown(lab: ApiLab) -> None:
    """What a partner says of a customer comes back, with an id and a widget token that is shown once."""
    body = {"name": "Lumen & Oak", "external_id": "cus_1", "website": "https://shop.example/", "integrations": {"a": 1}}

    made = lab.partner.post(ORGS, json=body)
    shown = lab.partner.get(f"{ORGS}/{made.json()['id']}")

    assert made.status_code == 201
    assert made.json()["widget_token"].startswith("sw_widget_")
    assert shown.json() == made.json() | {"widget_token": None}
    assert shown.json().items() >= body.items()


def test_an_external_id_is_one_orgs(lab: ApiLab) -> None:
    """The second is told which org has it; without one, two orgs may even have one name."""
    first = lab.org("Twin", external_id="cus_twin")

    second = lab.partner.post(ORGS, json={"name": "Other", "external_id": "cus_twin"})
    namesake = lab.partner.post(ORGS, json={"name": "Twin"})
    found = lab.partner.get(ORGS, params={"external_id": "cus_twin"}).json()["items"]

    assert second.status_code == 409
    assert second.json()["code"] == "org_exists"
    assert {"field": "org", "given": str(first.id)} in second.json()["details"]
    assert namesake.status_code == 201
    assert [org["id"] for org in found] == [str(first.id)]


def test_a_list_is_read_page_by_page(lab: ApiLab) -> None:
    """Following `next` shows every org once, and ends."""
    partner = lab.other_partner()
    made = {partner.post(ORGS, json={"name": f"Org {number}"}).json()["id"] for number in range(5)}

    seen, cursor = [], None
    for _ in range(5):
        page = partner.get(ORGS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [org["id"] for org in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert cursor is None
    assert len(seen) == 5
    assert set(seen) == made


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"cursor": "nonsense"}, {"cursor": "x" * 500}])
def test_a_wrong_page_is_refused(lab: ApiLab, query: dict[str, str | int]) -> None:
    """A limit out of bounds and a cursor that is none are the caller's mistakes."""
    assert lab.partner.get(ORGS, params=query).status_code == 422


def test_an_org_is_changed_and_its_history_kept(lab: ApiLab) -> None:
    """Only what is given changes, and who changed it is known."""
    org = lab.org("Before", website="https://old.example/")

    changed = lab.partner.patch(f"{ORGS}/{org.id}", json={"name": "After", "ai_instructions": "Be brief."})
    again = lab.partner.patch(f"{ORGS}/{org.id}", json={"name": "After"})
    history = org.http.get("/org/settings/history").json()["items"]

    assert changed.json()["name"] == "After"
    assert changed.json()["website"] == "https://old.example/"
    assert again.status_code == 200
    assert {(change["name"], change["before"], change["after"]) for change in history} == {
        ("name", "Before", "After"),
        ("ai_instructions", "", "Be brief."),
    }
    assert all(change["key_id"] for change in history)


def test_a_change_to_another_orgs_external_id_is_refused(lab: ApiLab) -> None:
    """Whichever way it would come about, no two orgs of a partner have one."""
    lab.org("Has it", external_id="cus_has")
    org = lab.org("Wants it")

    refused = lab.partner.patch(f"{ORGS}/{org.id}", json={"external_id": "cus_has"})

    assert refused.status_code == 409


def test_instructions_are_drafted_and_published(lab: ApiLab) -> None:
    """A draft changes nothing before it is published; publishing nothing is refused."""
    org = lab.org("Drafts")

    drafted = org.http.put("/org/settings/draft", json={"ai_instructions": "Be kind."}).json()
    published = org.http.post("/org/settings/publish").json()
    again = org.http.post("/org/settings/publish")

    assert (drafted["ai_instructions"], drafted["draft_instructions"]) == ("", "Be kind.")
    assert (published["ai_instructions"], published["draft_instructions"]) == ("Be kind.", None)
    assert again.status_code == 409
    assert again.json()["code"] == "nothing_to_publish"


def test_instructions_that_fit_no_briefing_are_refused(lab: ApiLab) -> None:
    """They are never cut, so they have to fit: when they are published, and when an org is made with them."""
    org, long = lab.org("Long"), "word " * 3_900
    org.http.put("/org/settings/draft", json={"ai_instructions": long})

    published = org.http.post("/org/settings/publish")
    made = lab.partner.post(ORGS, json={"name": "Long too", "ai_instructions": long})

    assert (published.status_code, made.status_code) == (422, 422)
    assert published.json()["code"] == made.json()["code"] == "instructions_too_long"
    assert org.http.get("/org/settings").json()["draft_instructions"] == long


def test_settings_are_validated(lab: ApiLab) -> None:
    """A wrong value is named, and nothing changes."""
    org = lab.org("Valid")
    wrong = {"language": "!!", "colour": "red", "name": "", "website": "javascript:alert(1)"}

    refused = org.http.patch("/org/settings", json=wrong)
    shown = org.http.get("/org/settings").json()

    assert refused.status_code == 422
    assert {detail["field"] for detail in refused.json()["details"]} == set(wrong)
    assert (shown["name"], shown["language"]) == ("Valid", "en")


@pytest.mark.parametrize("value", [r'"\ud83d"', r'{"\ud83d": 1}', "NaN", "1e999", "[" * 200 + "]" * 200])
def test_what_could_not_be_given_back_is_not_taken(lab: ApiLab, value: str) -> None:
    """JSON that no answer could hold is refused wherever it is given, and every list stays readable."""
    org = lab.org("Kept")
    body = f'{{"integrations": {{"a": {value}}}}}'
    headers = {"Content-Type": "application/json"}

    refused = [
        lab.partner.post(ORGS, content=f'{{"name": "Half", {body[1:]}', headers=headers),
        lab.partner.patch(f"{ORGS}/{org.id}", content=body, headers=headers),
        org.http.patch("/org/settings", content=body, headers=headers),
        org.http.post(
            "/training", content=f'{{"title": "T", "content": "c", "metadata": {{"a": {value}}}}}', headers=headers
        ),
    ]

    assert [answer.status_code for answer in refused] == [422] * 4, [answer.text for answer in refused]
    assert lab.partner.get(ORGS, params={"limit": 100}).status_code == 200
    assert org.http.get("/org/settings").json()["integrations"] == {}


def test_orgs_inherit_from_their_partner(lab: ApiLab) -> None:
    """Branding and default instructions are the partner's, at once, until an org has its own."""
    partner = lab.other_partner()
    org_id = partner.post(ORGS, json={"name": "Heir"}).json()["id"]
    key = partner.post(f"{ORGS}/{org_id}/api-keys", json={"name": "k"}).json()["api_key"]
    org = lab.client(key)

    partner.patch(
        PARTNER, json={"app_name": "Oak Desk", "logo": "https://x.example/l.png", "default_instructions": "D"}
    )
    inherited = org.get("/org/settings").json()
    partner.patch(f"{ORGS}/{org_id}", json={"ai_instructions": "Own"})
    own = org.get("/org/settings").json()
    briefing = org.post("/retrieve", json={"message": "Hello?"}).json()

    assert partner.get(PARTNER).json()["app_name"] == "Oak Desk"
    assert (inherited["app_name"], inherited["ai_instructions"], inherited["is_inherited"]) == ("Oak Desk", "D", True)
    assert (own["ai_instructions"], own["is_inherited"]) == ("Own", False)
    assert briefing["profile"] == "Own"


def test_default_instructions_have_room_in_every_org_that_inherits(lab: ApiLab) -> None:
    """They are refused beside what always applies in an heir, which is named; orgs with their own do not count."""
    partner = lab.other_partner()
    heir, own = (partner.post(ORGS, json={"name": name}).json()["id"] for name in ("Heir", "Own"))
    for org_id in (heir, own):
        key = partner.post(f"{ORGS}/{org_id}/api-keys", json={"name": "k"}).json()["api_key"]
        tone = {"title": "Tone", "content": "kind " * 2_700, "type": "BEHAVIORAL"}
        assert lab.client(key).post("/training", json=tone).status_code == 201
    partner.patch(f"{ORGS}/{own}", json={"ai_instructions": "Own"})

    beside = partner.patch(PARTNER, json={"default_instructions": "word " * 790})
    unchanged = partner.get(PARTNER).json()["default_instructions"]
    partner.patch(f"{ORGS}/{heir}", json={"ai_instructions": "Own"})
    taken = partner.patch(PARTNER, json={"default_instructions": "word " * 790})

    assert (beside.status_code, taken.status_code) == (422, 200)
    assert beside.json()["code"] == "instructions_too_long"
    assert {"field": "org", "given": heir} in beside.json()["details"]
    assert unchanged == ""


def test_a_partner_is_not_made_with_instructions_that_fit_nowhere(lab: ApiLab) -> None:
    """None of its orgs could be made."""
    with pytest.raises(InstructionsTooLong):
        lab.services.provisioning.add_partner("Wordy", default_instructions="word " * 3_900)


def test_a_key_is_made_listed_and_revoked(lab: ApiLab) -> None:
    """It is shown once; the list tells how it ends and when it was used; two live side by side for rotation."""
    org = lab.org("Keys")
    keys = f"{ORGS}/{org.id}/api-keys"

    made = lab.partner.post(keys, json={"name": "second", "scopes": ["org:read"]}).json()
    works = lab.client(made["api_key"]).get("/org/settings").status_code, org.http.get("/org/settings").status_code
    listed = {key["name"]: key for key in lab.partner.get(keys).json()["items"]}
    revoked = lab.partner.delete(f"{keys}/{made['id']}")
    again = lab.partner.delete(f"{keys}/{made['id']}")

    assert works == (200, 200)
    assert set(listed) == {"lab", "second"}
    assert listed["second"]["scopes"] == ["org:read"]
    assert made["api_key"].endswith(listed["second"]["last_four"])
    assert made["api_key"] not in str(listed)
    assert listed["second"]["last_used_at"] is not None
    assert (revoked.status_code, again.status_code) == (204, 204)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "k", "scopes": ["all"]},
        {"name": "k", "scopes": []},
        {"name": "k", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "k", "expires_at": "9999-12-31T23:59:59-14:00"},
        {"name": "k", "expires_at": "2100-01-01T00:00:00"},
    ],
)
def test_a_key_that_could_do_nothing_is_refused(lab: ApiLab, body: dict[str, object]) -> None:
    """An unknown scope, no scope and an end in the past are mistakes."""
    org = lab.org("Bad keys")

    assert lab.partner.post(f"{ORGS}/{org.id}/api-keys", json=body).status_code == 422


def test_a_new_widget_token_ends_the_old_one(lab: ApiLab) -> None:
    """The token is shown once more, and is another."""
    made = lab.partner.post(ORGS, json={"name": "Widget"}).json()

    renewed = lab.partner.post(f"{ORGS}/{made['id']}/widget-token")

    assert renewed.status_code == 201
    assert renewed.json()["widget_token"] != made["widget_token"]


def test_another_partners_org_is_not_found(lab: ApiLab) -> None:
    """On every route alike, and exactly as one that does not exist."""
    org, other = lab.org("Mine"), lab.other_partner()
    key_id = lab.partner.get(f"{ORGS}/{org.id}/api-keys").json()["items"][0]["id"]

    def codes(org_id: object) -> list[tuple[int, str]]:
        path = f"{ORGS}/{org_id}"
        answers = [
            other.get(path),
            other.patch(path, json={"name": "Stolen"}),
            other.get(f"{path}/api-keys"),
            other.post(f"{path}/api-keys", json={"name": "k"}),
            other.post(f"{path}/widget-token"),
            other.delete(f"{path}/api-keys/{key_id}"),
        ]
        return [(answer.status_code, answer.json()["code"]) for answer in answers]

    assert codes(org.id) == codes(uuid4()) == [(404, "org_not_found")] * 6
    assert lab.partner.get(f"{ORGS}/{org.id}").json()["name"] == "Mine"


def test_what_is_done_stands_in_the_audit(lab: ApiLab) -> None:
    """Which key did what, with what result and from where; a refusal too; what another org did not."""
    org, other = lab.org("Audited"), lab.org("Elsewhere")
    asked = org.http.put("/org/settings/draft", json={"ai_instructions": "very-secret-words"})
    org.http.post("/org/settings/publish")
    org.http.post("/org/settings/publish")

    entries = org.http.get("/audit").json()["items"]
    page = org.http.get("/audit", params={"limit": 1}).json()

    assert [(entry["action"], entry["result"]) for entry in entries if entry["action"].startswith("instr")].count(
        ("instructions.publish", "done")
    ) == 1
    assert ("instructions.publish", "nothing_to_publish") in {(entry["action"], entry["result"]) for entry in entries}
    assert {entry["source"] for entry in entries} == {"127.0.0.1"}
    assert asked.headers["x-request-id"] in {entry["request_id"] for entry in entries}
    assert page["next"] is not None
    assert "very-secret-words" not in str(entries)
    assert other.http.get("/audit").json()["items"] == []
