"""How a collection's record of its model is read back, and a model's own account of its vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.adapters.embedder.description import describe
from pipeline.adapters.embedder.sources import ModelSource
from pipeline.adapters.qdrant.identity import from_record, to_record
from pipeline.errors import ModelMismatch, ModelNotFound
from tests.fakes.embedder import WordEmbedder


def test_a_newer_record_is_read_as_far_as_it_is_known() -> None:
    """Fields that are not known here are left out; the rest is the same identity."""
    identity = WordEmbedder().identity

    assert from_record(to_record(identity) | {"colour": "blue"}) == identity


@pytest.mark.parametrize("record", [None, "all-MiniLM-L6-v2", {}, {"name": "all-MiniLM-L6-v2"}])
def test_a_record_that_is_not_whole_is_no_identity(record: object) -> None:
    """Vectors of a model that cannot be told are refused, whatever it was."""
    with pytest.raises(ModelMismatch) as refused:
        from_record(record)

    assert refused.value.facts["stored"] == "a model that was not recorded"


def static(folder: Path, **tensors: tuple[int, ...]) -> ModelSource:
    """A model that is a table of word vectors, with tensors of these shapes."""
    (folder / "modules.json").write_text(
        '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]',
        encoding="utf-8",
    )
    save_file({name: np.zeros(shape, np.float32) for name, shape in tensors.items()}, folder / "model.safetensors")
    return ModelSource(name="table", path=folder, revision="1")


def test_the_width_of_a_table_is_the_dimension(tmp_path: Path) -> None:
    """Lists beside the table, such as weights of words, are passed over."""
    assert describe(static(tmp_path, a=(9,), table=(9, 24))).dimension == 24


def test_weights_without_a_table_are_no_model(tmp_path: Path) -> None:
    """A file with lists alone is named as broken."""
    with pytest.raises(ModelNotFound) as refused:
        describe(static(tmp_path, a=(9,)))

    assert refused.value.facts["problem"] == "it holds no table"
