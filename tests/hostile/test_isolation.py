"""No org is ever shown what is another's, however it asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.model import SearchFilter
from pipeline.services.answers import Question
from tests.fakes.knowledge import at
from tests.hostile.isolation import QUESTIONS, Hostile, Tenants

CALLS = 120


@pytest.fixture(scope="module")
def tenants(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Three orgs with the same pages."""
    data_dir = tmp_path_factory.mktemp("tenants")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    made = Tenants(data_dir)
    yield made
    made.close()


def test_hostile_calls_get_nothing_foreign(tenants: Tenants) -> None:
    """Questions that name another org, its secrets and its ids; filters, histories, reads and changes of its things."""
    hostile = Hostile(tenants, seed=7)

    foreign = hostile.calls(CALLS)

    assert foreign == 0
    assert hostile.kinds.total() == CALLS
    assert 0 < hostile.refused < CALLS


def test_what_is_looked_for_would_be_found(tenants: Tenants) -> None:
    """The count of foreign things is no count of nothing: each org finds its own secret at once."""
    for tenant in tenants.all:
        question = Question(f"{tenant.secret} is known to {tenant.name} and to nobody else")

        briefing = tenants.knowledge.services.answers.brief(question, scope=tenant.scope)

        assert at("/secret") in {passage.url for passage in briefing.passages}
        assert tenant.secret in briefing.prompt
        assert {passage.id for passage in briefing.passages} <= tenant.chunks
        assert any(mark in briefing.prompt + str(briefing.passages) for mark in tenant.marks())


def test_identical_pages_keep_apart(tenants: Tenants) -> None:
    """The same text at the same address is another passage in each org, and only its own is found."""
    found = [
        {
            passage.id
            for passage in tenants.knowledge.services.answers.brief(
                Question(QUESTIONS[0], top_k=50, where=SearchFilter(url_prefix=at("/shipping"))), scope=tenant.scope
            ).passages
        }
        for tenant in tenants.all
    ]

    assert [bool(ids) for ids in found] == [True, True, True]
    assert all(ids <= tenant.chunks for ids, tenant in zip(found, tenants.all, strict=True))
    assert len(set.union(*found)) == sum(map(len, found))
