"""Opens the embedder that the settings ask for. Heavy libraries load here or not at all."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from pipeline.adapters.embedder import bert
from pipeline.adapters.embedder.description import Description, describe
from pipeline.adapters.embedder.direct import computes_bf16, open_direct
from pipeline.adapters.embedder.embedding import Forward, ModelEmbedder
from pipeline.adapters.embedder.port import Embedder, Tokenizer
from pipeline.adapters.embedder.sources import ModelSource, find, read_header
from pipeline.adapters.embedder.wordpieces import WordPieces
from pipeline.errors import InvalidSettings, ModelNotFound
from pipeline.model import ModelIdentity
from pipeline.settings import EmbedSettings

GPU_BATCH = 32
"""A GPU takes this many times the tokens of a CPU in one pass."""

GPU_SIGNS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Device files of NVIDIA's and AMD's drivers, and of a GPU that Windows lends to its Linux."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model found and described, with what is to run it."""

    source: ModelSource
    description: Description
    tokenizer: WordPieces
    identity: ModelIdentity
    device: str

    @property
    def weights(self) -> Path:
        """The transformer's weights."""
        return self.description.transformer / "model.safetensors"


def open_tokenizer(settings: EmbedSettings, *, cache_dir: Path) -> Tokenizer:
    """The model's tokenizer alone (40 ms).

    Raises:
        ModelNotFound: If the model or its tokenizer is not there.
    """
    source = find(settings.model, revision=settings.revision, cache_dir=cache_dir)
    return _tokenizer(source, describe(source))


def identify(settings: EmbedSettings, *, cache_dir: Path) -> ModelIdentity:
    """What the vectors of `open_embedder` would depend on, without loading weights.

    Raises:
        ModelNotFound: If the model is not there or a file of it is missing.
        InvalidSettings: If the backend cannot run this model, or not in this precision.
    """
    return _choose(settings, cache_dir).identity


def open_embedder(settings: EmbedSettings, *, cache_dir: Path) -> Embedder:
    """The embedder, loaded and ready; open it in the process and thread that will use it.

    Raises:
        ModelNotFound: If the model is not there, or is not the one that was pinned.
        InvalidSettings: If the backend cannot run this model, or not in this precision.
        PackageMissing: If the backend is not installed.
        EmbedderUnavailable: If the model does not fit into the device's memory.
    """
    choice = _choose(settings, cache_dir)
    choice.source.verify()
    if choice.identity.backend == "openvino":
        forward = _direct(choice, settings)
    elif choice.identity.backend == "onnx":
        from pipeline.adapters.embedder.exported import open_exported  # noqa: PLC0415 - imports an optional package

        forward = open_exported(choice.source, choice.tokenizer, choice.identity, threads=settings.threads)
    else:
        from pipeline.adapters.embedder.library import open_library  # noqa: PLC0415 - imports torch

        forward = open_library(choice.source, choice.identity, device=choice.device, threads=settings.threads)
    batch_tokens = settings.batch_tokens * (1 if choice.device == "cpu" else GPU_BATCH)
    inner = choice.identity.dimension if choice.identity.backend == "openvino" else 0
    return ModelEmbedder(choice.identity, choice.tokenizer, batch_tokens=batch_tokens, forward=forward, inner=inner)


def _choose(settings: EmbedSettings, cache_dir: Path) -> _Choice:
    """Find the model and settle what `auto` means for it on this machine."""
    source = find(settings.model, revision=settings.revision, cache_dir=cache_dir)
    description = describe(source)
    tokenizer = _tokenizer(source, description)
    device = device_of(settings)
    backend = _backend(settings, description, source, device)
    document_prompt = settings.document_prompt or _own_prompt(description, "document", "passage")
    query_prompt = settings.query_prompt or _own_prompt(description, "query")
    identity = ModelIdentity(
        name=source.name,
        revision=source.revision,
        dimension=description.dimension,
        max_tokens=_room(description, tokenizer, document_prompt, query_prompt),
        pooling=description.pooling,
        normalised=description.normalised,
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        backend=backend,
        precision=_precision(settings, backend, device),
    )
    return _Choice(source, description, tokenizer, identity, device)


def _direct(choice: _Choice, settings: EmbedSettings) -> Forward:
    """The forward pass of our own backend."""
    shape = bert.shape_of(choice.description.config)
    if shape is None:
        raise InvalidSettings(setting="SITEWISE_EMBED__BACKEND", backend="openvino", model=choice.source.name)
    try:
        return open_direct(shape, choice.weights, choice.tokenizer, choice.identity, threads=settings.threads).forward
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        problem = str(error).strip().splitlines()[0]
        raise ModelNotFound(model=choice.source.name, broken=str(choice.weights), problem=problem) from error


def _tokenizer(source: ModelSource, description: Description) -> WordPieces:
    return WordPieces(description.transformer / "tokenizer.json", model=source.name)


def _own_prompt(description: Description, *names: str) -> str:
    return next((description.prompts[name] for name in names if name in description.prompts), "")


def _room(description: Description, tokenizer: WordPieces, *prompts: str) -> int:
    """Tokens left to a text beside the longer prompt; one more is kept for a word cut differently."""
    taken = max(
        (tokenizer.count([prompt])[0] - tokenizer.special_tokens + 1 for prompt in prompts if prompt), default=0
    )
    return description.max_tokens - taken


def _backend(settings: EmbedSettings, description: Description, source: ModelSource, device: str) -> str:
    """Our own backend where it computes the same vectors, else the library's."""
    weights = description.transformer / "model.safetensors"
    plain = description.is_plain and bert.shape_of(description.config) is not None and weights.is_file()
    direct = plain and bert.can_read(read_header(weights, model=source.name))
    if settings.backend == "auto":
        return "openvino" if direct and device == "cpu" and settings.precision != "fp16" else "torch"
    if settings.backend == "openvino" and not direct:
        problem = "this model is no plain BERT encoder in safetensors; use SITEWISE_EMBED__BACKEND=torch"
        raise InvalidSettings(setting="SITEWISE_EMBED__BACKEND", model=source.name, problem=problem)
    if settings.backend == "onnx" and not description.is_plain:
        problem = "this model does more than pool token states; use SITEWISE_EMBED__BACKEND=torch"
        raise InvalidSettings(setting="SITEWISE_EMBED__BACKEND", model=source.name, problem=problem)
    return settings.backend


def device_of(settings: EmbedSettings) -> str:
    """The device; torch is asked only where a GPU is wanted, or the machine shows signs of one.

    Raises:
        InvalidSettings: If there is no such device here, or the backend computes on the CPU alone.
    """
    wanted = settings.device
    if settings.backend in {"openvino", "onnx"}:
        if wanted not in {"auto", "cpu"}:
            raise _no_device(wanted, f"the {settings.backend} backend computes on the cpu; torch on a GPU")
        return "cpu"
    if wanted == "cpu" or (wanted == "auto" and not _shows_signs_of_a_gpu()):
        return "cpu"
    import torch  # noqa: PLC0415 - a second of import, and most machines need none of it

    here = [f"cuda:{number}" for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    here = [*(["cuda"] if here else []), *here, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    if wanted == "auto":
        return here[0]
    if wanted not in here:
        raise _no_device(wanted, f"torch {torch.__version__} sees {', '.join(here)}")
    return wanted


def _shows_signs_of_a_gpu() -> bool:
    return sys.platform == "darwin" or any(sign.exists() for sign in GPU_SIGNS)


def _no_device(wanted: str, problem: str) -> InvalidSettings:
    return InvalidSettings(setting="SITEWISE_EMBED__DEVICE", value=wanted, problem=problem)


def _precision(settings: EmbedSettings, backend: str, device: str) -> str:
    """The number format, and a refusal of the ones a backend cannot compute in."""
    allowed = {"openvino": ("fp32", "bf16", "int8"), "onnx": ("fp32",), "torch": ("fp32", "bf16", "fp16")}[backend]
    if settings.precision != "auto":
        if settings.precision not in allowed:
            problem = f"the {backend} backend computes in {', '.join(allowed)}"
            raise InvalidSettings(setting="SITEWISE_EMBED__PRECISION", value=settings.precision, problem=problem)
        return settings.precision
    if backend == "onnx" or device == "mps":
        return "fp32"
    if device.startswith("cuda"):
        return "bf16"
    return "bf16" if computes_bf16() else "fp32"
