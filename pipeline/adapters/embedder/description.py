"""Reads what a sentence-transformers folder says of itself, without loading the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.adapters.embedder.sources import ModelSource, read_header
from pipeline.errors import ModelNotFound

POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The switches of a pooling configuration, and the word for each."""

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
    pooling, covers_prompt = _pooling(source, modules)
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
        and covers_prompt
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


def _pooling(source: ModelSource, modules: list[tuple[str, str]]) -> tuple[str, bool]:
    """`mean`, `cls` and so on, joined by `+` where several are concatenated; whether it covers the prompt."""
    place = next((path for kind, path in modules if kind == "Pooling"), None)
    if place is None:
        return "none", True
    config = _read(source.path / place / "config.json", source, required=True) if place else {}
    covers_prompt = config.get("include_prompt", True)
    if mode := config.get("pooling_mode"):
        return (mode if isinstance(mode, str) else "+".join(mode)), covers_prompt
    chosen = [name for key, name in POOLING.items() if config.get(key)]
    return "+".join(chosen) or "mean", covers_prompt


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
    """Width of a static embedding table."""
    for entry in read_header(weights, model=source.name).values():
        if len(entry["shape"]) > 1:
            return int(entry["shape"][1])
    raise ModelNotFound(model=source.name, broken=str(weights), problem="it holds no table")


def _max_tokens(source: ModelSource, transformer: Path, config: dict[str, Any], sentence: dict[str, Any]) -> int:
    """The most tokens the model reads, special tokens included."""
    positions = config.get("max_position_embeddings") or UNLIMITED
    if sentence.get("max_seq_length"):
        return int(min(sentence["max_seq_length"], positions))
    tokenizer = _read(transformer / "tokenizer_config.json", source)
    return int(min(positions, tokenizer.get("model_max_length") or UNLIMITED))


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
