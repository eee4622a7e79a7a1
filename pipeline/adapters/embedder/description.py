"""Reads what a sentence-transformers folder says of itself, without loading the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.adapters.embedder.sources import ModelSource
from pipeline.errors import ModelNotFound

UNLIMITED = 1_000_000
"""Tokens of a model that names no limit (static embeddings)."""


@dataclass(frozen=True, slots=True)
class Description:
    """A model's shape as its configuration files give it.

    `is_plain` says that nothing happens beyond transformer, one pooling and perhaps normalisation,
    so that a backend of our own computes the same vectors. `max_tokens` counts special tokens.
    """

    config: dict[str, Any]
    transformer: Path
    dimension: int
    max_tokens: int
    pooling: str
    normalised: bool
    prompts: dict[str, str]
    is_plain: bool


def describe(source: ModelSource) -> Description:
    """What the folder says.

    Raises:
        ModelNotFound: If a file that must be there is missing or cannot be read.
    """
    modules = _modules(source)
    kinds = [kind for kind, _ in modules]
    transformer = source.path / modules[0][1]
    config = _read(transformer / "config.json", source, required=kinds[0] == "Transformer")
    pooling = _pooling(source, modules)
    own = _read(source.path / "config_sentence_transformers.json", source)
    sentence = _read(transformer / "sentence_bert_config.json", source)
    return Description(
        config=config,
        transformer=transformer,
        dimension=_dimension(source, modules, config),
        max_tokens=_max_tokens(source, transformer, config, sentence),
        pooling=pooling,
        normalised="Normalize" in kinds,
        prompts={key: value for key, value in (own.get("prompts") or {}).items() if value},
        is_plain=kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and pooling in {"mean", "cls"}
        and not sentence.get("do_lower_case")
        and own.get("truncate_dim") is None,
    )


def _modules(source: ModelSource) -> list[tuple[str, str]]:
    """Kind and sub-folder of each module; a bare transformer gets mean pooling, as the library does."""
    path = source.path / "modules.json"
    if not path.is_file():
        return [("Transformer", ""), ("Pooling", "")]
    listed = _read(path, source)
    return [(module["type"].rpartition(".")[2], module["path"]) for module in listed]


def _pooling(source: ModelSource, modules: list[tuple[str, str]]) -> str:
    """`mean`, `cls` and so on, joined by `+` where several are concatenated; `none` without pooling."""
    place = next((path for kind, path in modules if kind == "Pooling"), None)
    if place is None:
        return "none"
    if not place:
        return "mean"
    config = _read(source.path / place / "config.json", source, required=True)
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return mode if isinstance(mode, str) else "+".join(mode)
    names = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max"}
    chosen = [
        names.get(key, key.removeprefix("pooling_mode_"))
        for key, value in config.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    return "+".join(chosen) or "mean"


def _dimension(source: ModelSource, modules: list[tuple[str, str]], config: dict[str, Any]) -> int:
    """The length of a vector: the last module that names one wins."""
    found = config.get("hidden_size") or config.get("dim") or config.get("d_model")
    for kind, place in modules:
        if kind in {"Pooling", "Dense"} and place:
            own = _read(source.path / place / "config.json", source, required=True)
            keys = ("out_features", "embedding_dimension", "word_embedding_dimension")
            found = next((own[key] for key in keys if key in own), found)
        elif kind == "StaticEmbedding":
            found = _columns(source.path / place / "model.safetensors", source)
    if not isinstance(found, int):
        raise ModelNotFound(model=source.name, missing="the vectors' dimension in its configuration")
    return found


def _columns(weights: Path, source: ModelSource) -> int:
    """Width of a static embedding table, from the header of its file."""
    try:
        with weights.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return int(next(entry["shape"][1] for name, entry in header.items() if name != "__metadata__"))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise ModelNotFound(model=source.name, missing=str(weights)) from error


def _max_tokens(source: ModelSource, transformer: Path, config: dict[str, Any], sentence: dict[str, Any]) -> int:
    """The most tokens the model reads, special tokens included."""
    if sentence.get("max_seq_length"):
        return int(sentence["max_seq_length"])
    tokenizer = _read(transformer / "tokenizer_config.json", source)
    return int(min(config.get("max_position_embeddings", UNLIMITED), tokenizer.get("model_max_length", UNLIMITED)))


def _read(path: Path, source: ModelSource, *, required: bool = False) -> Any:  # noqa: ANN401 - each file has its own shape
    """A JSON file; a missing one is empty unless it is required."""
    if not path.is_file():
        if required:
            raise ModelNotFound(model=source.name, missing=str(path))
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelNotFound(model=source.name, broken=str(path), problem=str(error)) from error
