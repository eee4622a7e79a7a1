"""Settings become parts: the database, and one adapter for each outside system. It imports lazily."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.qdrant.opening import open_store
from pipeline.db.engine import Database
from pipeline.db.revision import check_revision
from pipeline.errors import VectorStoreUnavailable
from pipeline.services.clock import Clock, system_clock
from pipeline.services.hints import Hints
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.adapters.embedder.port import Embedder
    from pipeline.adapters.embedder.shared import SharedEmbedder
    from pipeline.adapters.outbound import OutboundClient
    from pipeline.adapters.parser_pool import ParserPool
    from pipeline.adapters.previewer import Previewer
    from pipeline.adapters.qdrant.port import VectorStore
    from pipeline.adapters.qdrant.sparse import Bm25Encoder
    from pipeline.adapters.reranker.port import Reranker
    from pipeline.adapters.reranker.shared import SharedReranker
    from pipeline.model import ModelIdentity
    from pipeline.services.generations import Generations, Models
    from pipeline.settings import EmbedSettings


class Parts:
    """Everything services are made of, opened when first asked for."""

    def __init__(
        self,
        settings: Settings,
        *,
        hints: Hints | None = None,
        store: VectorStore | None = None,
        embedder: Embedder | None = None,
        models: Models | None = None,
        reranker: Reranker | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Build on these settings; a part that is given is used instead of the one they name.

        An embedder that is given is taken for whatever model is asked for; `models` opens each by its settings.
        """
        self.settings = settings
        self.clock = clock
        self._given_hints = hints
        self._given_store = store
        self._given_embedder = embedder
        self._given_models = models
        self._given_reranker = reranker

    @cached_property
    def database(self) -> Database:
        """The database, of the revision this code speaks.

        Raises:
            DatabaseTooNew: If a newer Sitewise wrote it.
            DatabaseTooOld: If it needs `sitewise db upgrade`.
        """
        database = Database(self.settings.database, data_dir=self.settings.data_dir)
        check_revision(database)
        return database

    @cached_property
    def hints(self) -> Hints:
        """Where hints go."""
        if self._given_hints is not None:
            return self._given_hints
        from pipeline.adapters.celery import CeleryHints, broker_url

        return CeleryHints(broker_url(self.settings), self.settings.broker.publish_timeout)

    def store(self) -> VectorStore:
        """The vector store: the one given, the server configured, or the owner's.

        Raises:
            VectorStoreUnavailable: If vectors are embedded and no owner answers.
        """
        return self._store

    def quick_store(self) -> VectorStore:
        """The vector store for those who wait no longer than `retrieve.patience` for each call.

        Raises:
            VectorStoreUnavailable: If vectors are embedded and no owner answers.
        """
        return self._quick_store

    @cached_property
    def generations(self) -> Generations:
        """Which model answers, with the vectors it made."""
        from pipeline.services.generations import Generations

        return Generations(
            self.database,
            self.settings,
            self.clock,
            models=self._given_models or _Models(self.settings.cache_dir, self._given_embedder),
            store=self.store,
            quick_store=self.quick_store,
        )

    def shared_embedder(self) -> SharedEmbedder:
        """The model that answers now, for what many threads ask at a time."""
        return self.generations.now().embedder

    def shared_reranker(self) -> SharedReranker | None:
        """The reranking model, loaded once, for many threads; nothing where none is set."""
        return self._shared_reranker

    def sparse(self) -> Bm25Encoder:
        """The BM25 encoder."""
        return self._sparse

    def _hints_waiting(self) -> Mapping[str, int]:
        from pipeline.adapters.celery import broker_url, hints_waiting

        return hints_waiting(broker_url(self.settings), self.settings.broker.publish_timeout)

    def _parsers(self) -> ParserPool:
        from pipeline.adapters.parser_pool import ParserPool

        return ParserPool(self.settings.extract)

    @cached_property
    def _previewer(self) -> Previewer:
        from pipeline.adapters.previewer import Previewer

        return Previewer(self.settings)

    @cached_property
    def _receivers(self) -> OutboundClient:
        from pipeline.adapters.outbound import OutboundClient

        return OutboundClient(self.settings.crawl, timeout=self.settings.webhooks.timeout, body_limit=2**10)

    @cached_property
    def _outbound(self) -> OutboundClient:
        from pipeline.adapters.outbound import OutboundClient

        return OutboundClient(self.settings.crawl)

    @cached_property
    def _store(self) -> VectorStore:
        store = self._given_store or open_store(self.settings)
        if store is None:
            raise VectorStoreUnavailable(problem="no process owns the embedded store now")
        return store

    @cached_property
    def _quick_store(self) -> VectorStore:
        patience = min(self.settings.upsert.timeout, self.settings.retrieve.patience)
        upsert = self.settings.upsert.model_copy(update={"timeout": patience})
        store = self._given_store or open_store(self.settings.model_copy(update={"upsert": upsert}))
        if store is None:
            raise VectorStoreUnavailable(problem="no process owns the embedded store now")
        return store

    @cached_property
    def _shared_reranker(self) -> SharedReranker | None:
        if self._given_reranker is None and self.settings.retrieve.rerank_model is None:
            return None
        from pipeline.adapters.reranker.shared import SharedReranker

        return SharedReranker(self._reranker)

    def _reranker(self) -> Reranker:
        if self._given_reranker is not None:
            return self._given_reranker
        from pipeline.adapters.reranker.library import open_reranker

        embed = self.settings.embed
        return open_reranker(
            self.settings.retrieve, device=embed.device, threads=embed.threads, cache_dir=self.settings.cache_dir
        )

    @cached_property
    def _sparse(self) -> Bm25Encoder:
        from pipeline.adapters.qdrant.sparse import Bm25Encoder

        return Bm25Encoder()

    def close_parts(self) -> None:
        """Close what was opened here; what was given stays open."""
        if "generations" in self.__dict__:
            self.generations.close()
        if (reranker := self.__dict__.get("_shared_reranker")) is not None:
            reranker.close()
        for name in ("_store", "_quick_store"):
            if name in self.__dict__ and self._given_store is None:
                self.__dict__[name].close()
        if "database" in self.__dict__:
            self.database.close()


class _Models:
    """Models as they are installed, or the one that was given."""

    def __init__(self, cache_dir: Path, given: Embedder | None) -> None:
        self._cache_dir = cache_dir
        self._given = given

    def open(self, settings: EmbedSettings) -> Embedder:
        """The model that these settings name, loaded."""
        if self._given is not None:
            return self._given
        from pipeline.adapters.embedder.opening import open_embedder

        return open_embedder(settings, cache_dir=self._cache_dir)

    def identify(self, settings: EmbedSettings) -> ModelIdentity:
        """What its vectors would depend on, without loading it."""
        if self._given is not None:
            return self._given.identity
        from pipeline.adapters.embedder.opening import identify

        return identify(settings, cache_dir=self._cache_dir)
