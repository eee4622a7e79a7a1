"""A knowledge base, and processes beside it that are set to one of several models."""

from __future__ import annotations

from pathlib import Path

from pipeline.bootstrap import Services
from pipeline.errors import ModelNotFound
from pipeline.model import ModelIdentity
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario
from pipeline.settings import EmbedSettings, Settings
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import Answer, Knowledge, PreparedServices, paragraphs

OLD, NEW, THIRD, TWIN = "old", "new", "third", "twin"

QUESTION = "What does shipping a chair cost?"
SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
    "/lamps": "<p>A lamp of brass costs forty euros with its shade.</p>",
    "/long": paragraphs(12),
}
DEARER: dict[str, Answer] = {**SHOP, "/shipping": "<p>Shipping a chair costs twelve euros and takes four days.</p>"}
SCENARIO = NewScenario("Shipping", "Offer the express way.", triggers=(QUESTION, "how much is delivery of a chair"))


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

    def __init__(self, data_dir: Path, *, database_url: str | None = None) -> None:
        self.models = WordModels()
        self._others: list[Services] = []
        super().__init__(data_dir, database_url=database_url, embed={"model": OLD})

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


def states(shop: Changing) -> dict[int, str]:
    """Every generation that is not gone, and how it stands."""
    return {view.number: view.state for view in shop.services.reembedding.status()}


def model_of(shop: Changing) -> str:
    """Whose vectors answer, as a process sees it that asks for the first time."""
    with shop.process() as fresh:
        briefing = fresh.answers.brief(Question(QUESTION, trace=True), scope=shop.org)
    fingerprints = {model.identity.fingerprint: name for name, model in shop.models.installed.items()}
    assert briefing.trace is not None
    assert briefing.passages
    return fingerprints[str(briefing.trace["model"])]


def change(shop: Changing, model: str = NEW) -> None:
    """Start with this model set, and work until nothing is left."""
    shop.process(model).reembedding.start()
    while shop.services.reembedding.work(owner="worker"):
        pass


def said(shop: Changing) -> str:
    """The best passage for the question."""
    return shop.ask(QUESTION).passages[0].text
