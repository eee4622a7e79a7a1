"""Commands that compute with the model, asked here and asked of the API that the same owner serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Shop

OWN = {"id", "at", "prompt", "trace"}
"""What each answer has of its own: its name, the boundary in its prompt, when it was given, and what it took."""

COMMANDS = [
    ("ask", "What does the Grower plan cost?"),
    ("ask", "Wie lange dauert der Versand?", "--before", "Guten Tag", "--top-k", "3"),
    ("ask", "How deep is the snow in Ambleford?"),
    ("training", "lint"),
    ("evaluate", "run", "{questions}"),
]


@pytest.fixture(scope="module")
def words(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Scenarios, some of which get in each other's way; a key of the same org; and golden questions in a file."""
    for title in ("Refunds", "Money back"):
        added = shop.sitewise.run(
            *("training", "add", "--title", title, "--content", "Ask for the order number."),
            *("--trigger", "I want my money back"),
        )
        assert added.status == 0, added.err
    made = shop.sitewise.run("key", "create", "remote", "--json")
    assert made.status == 0, made.err
    questions = tmp_path_factory.mktemp("golden") / "questions.yaml"
    questions.write_text("- question: What does the Grower plan cost?\n  texts: [month]\n")
    return {"key": made.json()["api_key"], "questions": str(questions)}


def alike(value: Any) -> Any:  # noqa: ANN401 - JSON
    """JSON without what every answer has of its own."""
    if isinstance(value, dict):
        return {name: alike(part) for name, part in value.items() if name not in OWN}
    if isinstance(value, list):
        return [alike(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_computes_says_the_same_here_and_there(
    shop: Shop, words: dict[str, str], command: tuple[str, ...]
) -> None:
    """Field by field, with passages, scores and scenarios, and with something to compare."""
    given = [word.format(**words) for word in command]

    here = shop.sitewise.run(*given, "--json")
    there = shop.sitewise.run("--server", f"http://127.0.0.1:{shop.port}", "--key", words["key"], *given, "--json")

    assert (here.status, there.status) == (0, 0), (here.err, there.err)
    assert alike(there.json()) == alike(here.json())
    assert alike(here.json())
