"""Writes a small random BERT in the form of a sentence-transformers folder: another model, in milliseconds."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SYMBOLS = string.ascii_lowercase + string.digits + string.punctuation
VOCABULARY = [*SPECIAL, *SYMBOLS, *(f"##{symbol}" for symbol in SYMBOLS), "the", "price", "query", "refund"]
MODULES = ("Transformer", "Pooling", "Normalize")


def write_tiny_bert(
    folder: Path,
    *,
    dimension: int = 32,
    max_tokens: int = 48,
    pooling: str = "mean",
    normalised: bool = True,
    prompts: dict[str, str] | None = None,
    seed: int = 1,
) -> Path:
    """A two-layer BERT with random weights. It means nothing, and every backend must agree on it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_weights(dimension, max_tokens, seed), folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer().save(str(folder / "tokenizer.json"))
    _write(folder / "config.json", _config(dimension, max_tokens))
    special = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL}
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens, **special},
    )
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})
    _write(folder / "config_sentence_transformers.json", {"prompts": prompts or {}, "default_prompt_name": None})
    places = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(zip(MODULES, places, strict=True))
    ]
    _write(folder / "modules.json", modules if normalised else modules[:2])
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens"}
    _write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": dimension, **{key: name == pooling for name, key in modes.items()}},
    )
    return folder


def write_tiny_cross_encoder(folder: Path, *, max_tokens: int = 48, labels: int = 1, seed: int = 1) -> Path:
    """A two-layer BERT with random weights that reads two texts and gives `labels` scores."""
    folder.mkdir(parents=True, exist_ok=True)
    dimension = 32
    random = np.random.default_rng(seed)
    tensors = {f"bert.{name}": tensor for name, tensor in _weights(dimension, max_tokens, seed).items()}
    for name, rows in (("bert.pooler.dense", dimension), ("classifier", labels)):
        tensors[f"{name}.weight"] = random.normal(0, 0.3, (rows, dimension)).astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(0, 0.3, rows).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer().save(str(folder / "tokenizer.json"))
    names = {str(label): f"LABEL_{label}" for label in range(labels)}
    config = _config(dimension, max_tokens) | {"architectures": ["BertForSequenceClassification"], "id2label": names}
    _write(folder / "config.json", config)
    special = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL}
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens, **special},
    )
    return folder


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _config(dimension: int, max_tokens: int) -> dict[str, object]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": dimension,
        "intermediate_size": 2 * dimension,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": max_tokens,
        "type_vocab_size": 2,
        "vocab_size": len(VOCABULARY),
        "pad_token_id": 0,
    }


def _tokenizer() -> Tokenizer:
    vocabulary = {token: place for place, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token of text, not a password
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _weights(dimension: int, max_tokens: int, seed: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    wide = 2 * dimension
    tensors: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *shape: int) -> None:
        tensors[name] = random.normal(0, 0.3, shape).astype(np.float32)

    def normalise(name: str) -> None:
        tensors[f"{name}.weight"] = np.ones(dimension, np.float32)
        add(f"{name}.bias", dimension)

    def linear(name: str, rows: int, columns: int) -> None:
        add(f"{name}.weight", rows, columns)
        add(f"{name}.bias", rows)

    add("embeddings.word_embeddings.weight", len(VOCABULARY), dimension)
    add("embeddings.position_embeddings.weight", max_tokens, dimension)
    add("embeddings.token_type_embeddings.weight", 2, dimension)
    normalise("embeddings.LayerNorm")
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        for name in ("query", "key", "value"):
            linear(f"{layer}attention.self.{name}", dimension, dimension)
        linear(f"{layer}attention.output.dense", dimension, dimension)
        normalise(f"{layer}attention.output.LayerNorm")
        linear(f"{layer}intermediate.dense", wide, dimension)
        linear(f"{layer}output.dense", dimension, wide)
        normalise(f"{layer}output.LayerNorm")
    return tensors
