"""Settings of what texts become, and of how they are found."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from pipeline.settings.kinds import Group, PositiveSpan, Span, split_list


class ChunkSettings(Group):
    """How a page is cut."""

    max_tokens: int = Field(
        254, ge=32, description="Tokens of a chunk, headings and special tokens included; the model's limit caps it."
    )
    overlap_tokens: int = Field(0, ge=0, description="Tokens a chunk repeats of the one before it.")
    site_block_pages: int = Field(
        5, ge=2, description="Pages a block of text stands on before it may count as the whole website's."
    )
    site_block_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of a website's pages from which on a block is kept by one page alone: "
        "what most pages say tells none of them apart; what fewer say may be a fact about each.",
    )


class EmbedSettings(Group):
    """Which model turns text into vectors, and how."""

    model: str = Field("all-MiniLM-L6-v2", description="A packaged model's name, a folder, or a hub name.")
    revision: str | None = Field(None, description="Hub revision; empty: the one installed.")
    backend: Literal["auto", "openvino", "onnx", "torch"] = Field(
        "auto",
        description="What runs the model; auto: the fastest exact one here. onnx needs an export beside the weights.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto", description="Number format; auto: bf16 where the machine computes in it, else fp32."
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto: a GPU when there is one.")
    batch_tokens: int = Field(
        2_048, ge=256, description="Tokens, padding included, in one forward pass; on a GPU 32 times as many."
    )
    threads: int = Field(1, ge=0, description="Threads of one embedding process; 0: all cores.")
    languages: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)] = Field(
        (),
        description="Languages the model reads, as codes, * for every one; in others BM25 decides. "
        "Empty: English for models known to be taught it alone, else every one.",
    )
    query_prompt: str = Field(
        "", description="Put before every question; empty: what the model's own configuration says, if anything."
    )
    document_prompt: str = Field(
        "", description="Put before every chunk; empty: what the model's own configuration says, if anything."
    )


class UpsertSettings(Group):
    """Where vectors are kept."""

    qdrant_url: str | None = Field(
        None, description="Qdrant server, such as http://host:6333; empty: Qdrant Edge in the data directory."
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key of the Qdrant server.")
    collection: str = Field("sitewise", pattern=r"^[a-z0-9_-]{1,64}$", description="Collection name.")
    vectors: Literal["whole", "int8"] = Field(
        "whole",
        description="What a Qdrant server holds in memory of collections made from now on: whole vectors, or a byte a "
        "number, the whole ones on disk to score what was found.",
    )
    batch: int = Field(256, ge=1, le=4_096, description="Points written at a time.")
    timeout: PositiveSpan = Field(timedelta(seconds=10), description="A store silent this long is unavailable.")


class RetrieveSettings(Group):
    """How a briefing is put together."""

    top_k: int = Field(8, ge=1, le=50, description="Passages in a briefing.")
    candidates: int = Field(60, ge=1, le=500, description="Hits asked of each half of the search.")
    per_page: int = Field(2, ge=1, description="Passages one page may give.")
    per_host: int = Field(
        50, ge=1, description="Passages one host may give; lower it where not every website is trusted alike."
    )
    join_tokens: int = Field(
        400,
        ge=0,
        description="Tokens up to which a passage takes in neighbours that continue it and were found too; 0: none.",
    )
    instruction_like: Literal["lower", "flag"] = Field(
        "lower",
        description="What becomes of a passage that speaks to an assistant: lower halves its score, flag only says so.",
    )
    keep_briefings: Span = Field(
        timedelta(days=30), description="How long a briefing can be read again; 0: none is stored."
    )
    max_tokens: int = Field(3_000, ge=100, description="Tokens of the rendered prompt.")
    patience: PositiveSpan = Field(
        timedelta(milliseconds=750),
        description="How long an answer over HTTP waits for the model, or the vector store, before it goes without.",
    )
    rerank_model: str | None = Field(None, description="A cross-encoder: a folder or a hub name; empty: none.")
    rerank_revision: str | None = Field(None, description="Its hub revision; empty: the one installed.")
    rerank_candidates: int = Field(20, ge=1, le=50, description="Passages it reads for an answer, the best found.")
    rerank_budget: PositiveSpan = Field(
        timedelta(milliseconds=500),
        description="How long an answer waits for it; then the order of the search stays, and the trace says so.",
    )
    rerank_calibration: Annotated[tuple[float, float] | None, NoDecode, BeforeValidator(split_list)] = Field(
        None,
        description="Slope and constant, comma-separated, of the logistic function that makes of its best logit how "
        "sure it is that there is an answer; empty: it has no say in that.",
    )
    answerable_threshold: float = Field(
        0.4, ge=0, le=1, description="How sure it must be that the knowledge answers a question, from 0 to 1."
    )


class EvaluateSettings(Group):
    """How an org's golden questions guard what it publishes."""

    gate: bool = Field(
        default=True,
        description="Whether a crawl after which golden questions are answered worse is held until somebody decides.",
    )
    tolerance: float = Field(
        0.05, ge=0, le=1, description="How much of the score, from 0 to 1, a crawl may cost without being held."
    )
