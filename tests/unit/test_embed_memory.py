"""What happens when torch has no memory left for the texts of one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.adapters.embedder import identify
from pipeline.adapters.embedder.library import LibraryModel
from pipeline.errors import EmbedderUnavailable
from pipeline.model import ModelIdentity, Vector
from pipeline.settings import EmbedSettings
from tests.lab.tiny_bert import write_tiny_bert


@pytest.fixture
def tiny(tmp_path: Path) -> ModelIdentity:
    """What a small model says of itself."""
    folder = write_tiny_bert(tmp_path / "tiny")
    return identify(EmbedSettings(model=str(folder), device="cpu"), cache_dir=tmp_path)


class Hungry:
    """A model that for more than `room` texts at once asks torch for more memory than there is."""

    device = torch.device("cpu")

    def __init__(self, room: int) -> None:
        self._room = room
        self.passes: list[int] = []

    def encode(self, texts: Sequence[str], /, **_: object) -> Vector:
        """The length of each text, as a vector."""
        self.passes.append(len(texts))
        torch.empty(1 if len(texts) <= self._room else 2**60, dtype=torch.uint8)
        return np.array([[len(text), 1] for text in texts], np.float32)


def test_a_pass_that_does_not_fit_into_memory_is_made_smaller(tiny: ModelIdentity) -> None:
    """What torch has no memory for together is computed in smaller passes, of a size that fitted."""
    model = Hungry(room=3)
    forward = LibraryModel(model, tiny).forward
    texts = ["x" * length for length in range(1, 11)]

    vectors = forward(texts, "")

    assert np.allclose(vectors[:, 0] / vectors[:, 1], range(1, 11))
    assert model.passes == [10, 5, 3, 3, 3, 1]


def test_one_text_that_does_not_fit_into_memory_is_told(tiny: ModelIdentity) -> None:
    """Then there is nothing smaller to try; the work is tried again later."""
    forward = LibraryModel(Hungry(room=0), tiny).forward

    with pytest.raises(EmbedderUnavailable, match="no memory is left"):
        forward(["x", "y"], "")


def test_other_failures_of_torch_are_not_taken_for_a_lack_of_memory(tiny: ModelIdentity) -> None:
    """A defect is told as what it is."""

    class Broken(Hungry):
        def encode(self, texts: Sequence[str], /, **_: object) -> Vector:
            return np.asarray(torch.zeros(len(texts)).view(3), np.float32)

    forward = LibraryModel(Broken(room=9), tiny).forward

    with pytest.raises(RuntimeError, match="invalid for input of size"):
        forward(["x", "y"], "")
