"""The portable backend: a model's own ONNX export, run by ONNX Runtime (extra `onnx`)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.adapters.embedder.embedding import Forward, pooled, unit
from pipeline.adapters.embedder.sources import ModelSource
from pipeline.adapters.embedder.wordpieces import WordPieces
from pipeline.errors import ModelNotFound, PackageMissing
from pipeline.model import ModelIdentity, Vector

PLACES = ("onnx/model.onnx", "model.onnx")
"""Where sentence-transformers and optimum put an export, the first that is there."""

TOKEN_STATES_RANK = 3
"""Texts, tokens, numbers: an output of another shape is no token states."""

FILLED = {"input_ids": None, "attention_mask": 1, "token_type_ids": 0}
"""The inputs an encoder may ask for; one text a pass has no padding, so the others are the same everywhere."""


def open_exported(source: ModelSource, tokenizer: WordPieces, identity: ModelIdentity, *, threads: int) -> Forward:
    """Load the export; `threads=0` means all cores.

    Raises:
        PackageMissing: If ONNX Runtime is not installed.
        ModelNotFound: If the folder holds no export, or one that this backend cannot run.
    """
    if find_spec("onnxruntime") is None:
        raise PackageMissing(package="sitewise[onnx]", setting="SITEWISE_EMBED__BACKEND", value="onnx")
    path = next((source.path / place for place in PLACES if (source.path / place).is_file()), None)
    if path is None:
        raise ModelNotFound(model=source.name, missing=str(source.path / PLACES[0]))
    try:
        return _ExportedModel(path, tokenizer, identity, threads=threads).forward
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().splitlines()[0]
        raise ModelNotFound(model=source.name, broken=str(path), problem=problem) from error


class _ExportedModel:
    """A loaded export. Its `forward` pools and normalises as the model's identity says."""

    def __init__(self, path: Path, tokenizer: WordPieces, identity: ModelIdentity, *, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - an optional package, wanted by this backend alone
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a waiting thread costs nothing
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except (Fail, InvalidGraph, InvalidProtobuf) as error:  # the runtime's errors have no common parent
            raise ValueError(str(error)) from error
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        if unknown := set(self._inputs) - set(FILLED):
            raise ValueError(f"it asks for {', '.join(sorted(unknown))}, which is not known here")
        states = [entry.name for entry in self._session.get_outputs() if len(entry.shape) == TOKEN_STATES_RANK]
        if not states:
            raise ValueError("none of its outputs is token states (texts, tokens, numbers)")
        self._output = states[0]
        self._tokenizer = tokenizer
        self._identity = identity

    def forward(self, texts: Sequence[str], prompt: str) -> Vector:
        """Vectors of shape `(len(texts), dimension)`, each from a pass of its own: no padding, no neighbours."""
        vectors = np.concatenate([self._vector(self._tokenizer.ids(prompt + text)) for text in texts])
        return unit(vectors) if self._identity.normalised else vectors

    def _vector(self, ids: list[int]) -> Vector:
        """One text's vector before normalisation, shape `(1, dimension)`."""
        given = np.array([ids], np.int64)
        feed = {name: given if (value := FILLED[name]) is None else np.full_like(given, value) for name in self._inputs}
        (states,) = self._session.run([self._output], feed)
        return pooled(states, self._identity.pooling)
