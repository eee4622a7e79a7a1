"""Which model answers now, and the vectors that belong to it: handed out together, so that they are never mixed up.

The row that serves is the truth. A process goes by what it saw last, and every briefing looks whether that still holds.
One that has not opened the new model yet goes on with the one before, whose vectors are kept current for the while.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pipeline.adapters.embedder.port import Embedder
from pipeline.adapters.embedder.shared import SharedEmbedder
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import generations
from pipeline.db.engine import Database, Session
from pipeline.db.generations import FIRST, KEPT, SERVING, Standing
from pipeline.errors import GenerationChanged, ModelMismatch, SetupError
from pipeline.logs import get_logger
from pipeline.model import ModelIdentity, Vector
from pipeline.services.clock import Clock
from pipeline.settings import EmbedSettings, Settings

CHOICE = ("model", "revision", "backend", "precision", "query_prompt", "document_prompt", "languages")
"""The settings that say which model it is, and not how this machine runs it."""

LINGER = timedelta(minutes=1)
"""How long a model that answers no more is held for questions under way."""

AGAIN = timedelta(seconds=10)
"""How soon a model that could not be opened is tried again, while another answers."""

log = get_logger(__name__)


class Models(Protocol):
    """Where models come from."""

    def open(self, settings: EmbedSettings) -> Embedder:
        """The model that these settings name, loaded."""
        ...

    def identify(self, settings: EmbedSettings) -> ModelIdentity:
        """What its vectors would depend on, without loading it."""
        ...


class _Model:
    """One model of this process, opened when it is first used, by whoever waits for it: its files may not answer."""

    def __init__(self, named: Callable[[], EmbedSettings], opened: Callable[[EmbedSettings], Embedder]) -> None:
        self.languages: tuple[str, ...] = ()
        """Those that its settings say it reads; known once it is open."""
        self._named = named
        self._opened = opened
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self.shared = SharedEmbedder(self.embedder)
        self.works = False
        """Whether texts are embedded with it here: then it is held until its generation goes."""
        self._soon: tuple[Future[Vector], datetime] | None = None

    @property
    def is_open(self) -> bool:
        return self._embedder is not None

    def embedder(self) -> Embedder:
        with self._lock:
            if self._embedder is None:
                settings = self._named()
                self._embedder = self._opened(settings)
                self.languages = settings.languages
            return self._embedder

    def open_soon(self, clock: Clock) -> None:
        """Open it beside what goes on; where that failed, not again at once."""
        now = clock()
        if self._soon is not None:
            future, until = self._soon
            if not future.done() or now < until:
                return
            if (error := future.exception()) is not None:
                log.warning("the model that answers now cannot be opened here", problem=str(error))
        self._soon = self.shared.open_soon(), now + AGAIN


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A model for questions, and the vectors it made."""

    number: int
    embedder: SharedEmbedder
    languages: Callable[[], tuple[str, ...]]
    """Those that the settings say the model reads, once it is open; none where they say nothing."""
    store: Callable[[], VectorStore]
    quick_store: Callable[[], VectorStore]


@dataclass(frozen=True, slots=True)
class Target:
    """A model for texts, and where the vectors it makes belong."""

    number: int
    model: str
    identity: ModelIdentity
    embedder: Embedder
    store: VectorStore


class Generations:
    """Hands out models with their vectors. Safe to use from many threads."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        *,
        models: Models,
        store: Callable[[], VectorStore],
        quick_store: Callable[[], VectorStore],
    ) -> None:
        """Go by the rows of this database; models and stores are opened at first use."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._models = models
        self._store = store
        self._quick_store = quick_store
        self._lock = threading.RLock()
        self._open: dict[str, _Model] = {}
        self._seen: Knowledge | None = None
        self._as_set: str | None = None
        self._is_told = False

    # --- to ask with -----------------------------------------------------------------------

    def seen(self) -> Knowledge:
        """What this process went by last; read where it is the first time."""
        return self._seen or self.now()

    def now(self) -> Knowledge:
        """What it goes by now."""
        with self._database.read() as session:
            return self._choose(generations.standing(session))

    def check(self, session: Session, knowledge: Knowledge) -> None:
        """Go on with this only if it is what the process goes by, as this transaction sees it.

        Raises:
            GenerationChanged: If it is another now: what was asked with this model is asked anew.
        """
        if self._choose(generations.standing(session)).embedder is not knowledge.embedder:
            raise GenerationChanged(was=knowledge.number)

    def _choose(self, standing: Sequence[Standing]) -> Knowledge:
        """The generation that serves; one that was kept, as long as only that one's model is open here."""
        with self._lock:
            self._release(standing)
            serving = next((one for one in standing if one.state == SERVING), None)
            if serving is None:
                return self._knowledge(FIRST, self._model("", lambda: self._settings.embed))
            chosen, model = serving, self._of(serving)
            if not model.is_open:
                for kept in standing:
                    if kept.state == KEPT and self._of(kept).is_open:
                        model.open_soon(self._clock)
                        chosen, model = kept, self._of(kept)
            return self._knowledge(chosen.number, model)

    def _knowledge(self, number: int, model: _Model) -> Knowledge:
        if self._seen is None or self._seen.embedder is not model.shared:
            self._seen = Knowledge(
                number=number,
                embedder=model.shared,
                languages=lambda: model.languages,
                store=lambda: self._store().at(number),
                quick_store=lambda: self._quick_store().at(number),
            )
        return self._seen

    # --- to write for ----------------------------------------------------------------------

    def written(self) -> list[Target]:
        """Whose points a text needs, the serving generation first. Others that cannot be had now are left out.

        Raises:
            SetupError: If the model that serves cannot be loaded, or is another than the store's.
            TemporaryError: If the store is away.
        """
        standing = self.registered()
        targets = [self.target(one) for one in standing if one.state == SERVING]
        for one in standing:
            if one.state == SERVING or one.is_paused:
                continue
            try:
                targets.append(self.target(one))
            except SetupError as error:
                log.warning("texts are not embedded for another model", generation=one.number, problem=str(error))
        return targets

    def target(self, one: Standing) -> Target:
        """A generation to write for, its collection made if need be.

        Raises:
            SetupError: If its model cannot be loaded, or is another than the store's.
            TemporaryError: If the store is away.
        """
        with self._lock:
            model = self._of(one)
            model.works = True
        embedder = model.embedder()
        store = self._store().at(one.number)
        store.prepare(embedder.identity)
        return Target(one.number, one.model, embedder.identity, embedder, store)

    def registered(self) -> list[Standing]:
        """The generations there are. Where nobody noted one yet, the model that is set becomes the first.

        Raises:
            ModelMismatch: If the store has vectors of another.
        """
        with self._database.read() as session:
            standing = generations.standing(session)
        with self._lock:
            self._release(standing)
        if any(one.state == SERVING for one in standing):
            return standing
        identity = self._models.identify(self._settings.embed)
        self._store().prepare(identity)
        with self._database.write() as session:
            generations.add(
                session,
                FIRST,
                model=identity.fingerprint,
                name=name_of(identity),
                choice=choice_of(self._settings.embed),
                state=SERVING,
                now=self._clock(),
            )
            return generations.standing(session)

    def identify(self) -> ModelIdentity:
        """The model that is set here, whichever answers.

        Raises:
            SetupError: If it is not there, or cannot be run here.
        """
        return self._models.identify(self._settings.embed)

    def find(self) -> None:
        """See that the model that serves is there, without loading it. Asks no store.

        Raises:
            SetupError: If it is not there, or is another than it was.
        """
        with self._database.read() as session:
            standing = generations.standing(session)
        serving = next((one for one in standing if one.state == SERVING), None)
        if serving is None:
            self._models.identify(self._settings.embed)
        else:
            _check(self._models.identify(self._settings_of(serving)), serving)

    def prepare(self) -> None:
        """See that the model that serves is there, without loading it, and that its vectors are in the store.

        Raises:
            SetupError: If it is not there, or is another than the store's.
            TemporaryError: If the store does not answer.
        """
        serving = next(one for one in self.registered() if one.state == SERVING)
        identity = self._models.identify(self._settings_of(serving))
        _check(identity, serving)
        self._store().at(serving.number).prepare(identity)

    def close(self) -> None:
        """Let go of every model."""
        with self._lock:
            held, self._open, self._seen = list(self._open.values()), {}, None
        for model in held:
            model.shared.close()

    # --- models ----------------------------------------------------------------------------

    def _of(self, one: Standing) -> _Model:
        if one.model in self._open:
            return self._open[one.model]
        unnoted = self._open.pop("", None)
        if unnoted is not None and unnoted.is_open and unnoted.embedder().identity.fingerprint == one.model:
            self._open.setdefault(one.model, unnoted)
        return self._model(one.model, lambda: self._settings_of(one), noted=one)

    def _model(self, key: str, named: Callable[[], EmbedSettings], *, noted: Standing | None = None) -> _Model:
        if key not in self._open:

            def opened(embed: EmbedSettings) -> Embedder:
                embedder = self._models.open(embed)
                if noted is not None:
                    _check(embedder.identity, noted)
                return embedder

            self._open[key] = _Model(named, opened)
        return self._open[key]

    def _settings_of(self, one: Standing) -> EmbedSettings:
        """How this process runs a model: as it is set here, where that is the same model, else as it was noted.

        It looks at files, so nobody calls it who holds what others wait for.
        """
        own = self._settings.embed
        if choice_of(own) == one.choice or one.model == self._fingerprint_as_set():
            return own
        if one.state == SERVING and not self._is_told:
            self._is_told = True
            other = {key: value for key, value in one.choice.items() if value != choice_of(own)[key]}
            log.warning(
                "another model answers than the one that is set", **{f"answers_{k}": v for k, v in other.items()}
            )
        return own.model_copy(update={**one.choice, "languages": tuple(one.choice.get("languages", ()))})

    def _fingerprint_as_set(self) -> str:
        """Of the model that is set here, looked at once; nothing where it is not there."""
        if self._as_set is None:
            try:
                self._as_set = self._models.identify(self._settings.embed).fingerprint
            except SetupError as error:
                log.warning("the model that is set is not there", problem=str(error))
                self._as_set = ""
        return self._as_set

    def _release(self, standing: Sequence[Standing]) -> None:
        """Let go of models that nothing is left of, and of those that answered before and embed nothing here."""
        by_model = {one.model: one for one in standing}
        serving = next((one for one in standing if one.state == SERVING), None)
        is_ready = serving is not None and serving.model in self._open and self._open[serving.model].is_open
        for key, model in list(self._open.items()):
            one = by_model.get(key)
            is_over = key != "" and one is None
            is_past = one is not None and one.state == KEPT and not model.works and is_ready
            if is_over or (is_past and one is not None and self._clock() - one.changed_at > LINGER):
                del self._open[key]
                if self._seen is not None and self._seen.embedder is model.shared:
                    self._seen = None
                threading.Thread(target=model.shared.close, name="closes-model", daemon=True).start()


def choice_of(embed: EmbedSettings) -> dict[str, Any]:
    """The settings that name a model, as they are stored: a folder by its whole path, from wherever it was named."""
    chosen = {name: getattr(embed, name) for name in CHOICE}
    folder = Path(embed.model).expanduser()
    if folder.is_dir():
        chosen["model"] = str(folder.resolve())
    return {**chosen, "languages": list(embed.languages)}


def name_of(identity: ModelIdentity) -> str:
    """What people call a model."""
    return f"{identity.name}@{identity.revision[:12]} {identity.dimension} {identity.precision_class}"


def _check(identity: ModelIdentity, one: Standing) -> None:
    """Refuse a model that is not the one that was noted."""
    if identity.fingerprint != one.model:
        raise ModelMismatch(generation=one.number, noted=one.choice.get("model"), asked=name_of(identity))
