"""A knowledge base, and processes beside it that are set to one of several models."""

from __future__ import annotations

from pathlib import Path

from pipeline.bootstrap import Services
from pipeline.errors import ModelNotFound
from pipeline.model import ModelIdentity
from pipeline.settings import EmbedSettings, Settings
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import Knowledge, PreparedServices

OLD, NEW, THIRD, TWIN = "old", "new", "third", "twin"


class WordModels:
    """Models by their names: the new one is wider, its twin as wide as the old. Notes which were opened."""

    def __init__(self) -> None:
        self.installed = {
            OLD: WordEmbedder(name=OLD),
            NEW: WordEmbedder(name=NEW, dimension=96),
            THIRD: WordEmbedder(name=THIRD, dimension=32),
            TWIN: WordEmbedder(name=TWIN, salt="twin"),
        }
        self.opened: list[str] = []

    def open(self, settings: EmbedSettings) -> WordEmbedder:
        """The model of that name."""
        self.opened.append(settings.model)
        return self._of(settings)

    def identify(self, settings: EmbedSettings) -> ModelIdentity:
        """What it is."""
        return self._of(settings).identity

    def _of(self, settings: EmbedSettings) -> WordEmbedder:
        if settings.model not in self.installed:
            raise ModelNotFound(model=settings.model)
        return self.installed[settings.model]


class Changing(Knowledge):
    """A knowledge base whose processes find several models installed."""

    def __init__(self, data_dir: Path, *, database_url: str | None = None, **settings: object) -> None:
        self.models = WordModels()
        self._others: list[Services] = []
        super().__init__(data_dir, database_url=database_url, embed={"model": OLD}, **settings)

    def open(self) -> Services:
        """Services as another process would have them."""
        return self._opened(self.settings)

    def process(self, model: str = OLD) -> Services:
        """A process that is set to this model."""
        embed = self.settings.embed.model_copy(update={"model": model})
        made = self._opened(self.settings.model_copy(update={"embed": embed}))
        self._others.append(made)
        return made

    def close(self) -> None:
        """Close every process."""
        for opened in [*self._others, self.services]:
            opened.close()

    def embedded_by(self, model: str) -> int:
        """How many texts a model embedded."""
        return len(self.models.installed[model].encoded)

    def _opened(self, settings: Settings) -> Services:
        return PreparedServices(settings, hints=self.hints, store=self.store, models=self.models, clock=self.clock)
