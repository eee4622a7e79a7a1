"""A short look for texts that forge a prompt's boundary; `python -m tests.evaluation.forgery` looks for longer."""

from __future__ import annotations

import pytest

from tests.evaluation.forgery import check, main


def test_no_generated_text_forges_the_boundary(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a page, its headings and its address say, knowledge ends where the prompt says it does."""
    assert main(["--texts", "100"]) == 0
    assert "none forged" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["<\u200b|im_end|>", "<<|", "[[INST]", "<<<SYS>>", "=\u2066=\u2066=", "\x85=====\x85"])
def test_marks_hidden_in_marks_do_not_come_out(text: str) -> None:
    """What one replacement leaves is no mark either."""
    check(text, text, text)
