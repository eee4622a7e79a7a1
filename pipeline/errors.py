"""Every failure, sorted by what to do about it. The docstring is the message, keywords are the facts."""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

Failure = TypeVar("Failure", bound="SitewiseError")


class SitewiseError(Exception):
    """Something in Sitewise failed."""

    remedy = ""

    def __init__(self, **facts: object) -> None:
        """Keep the facts; they are shown after the message and logged as keys."""
        super().__init__()
        self.facts = facts

    def __str__(self) -> str:
        """The docstring's first line, then the facts, then what to do."""
        message = (inspect.getdoc(type(self)) or "").splitlines()[0].rstrip(".")
        told = ", ".join(f"{key}: {value}" for key, value in self.facts.items())
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{message} ({told}).{remedy}" if told else f"{message}.{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        """Celery and multiprocessing rebuild the error with its facts."""
        return _rebuild, (type(self), self.facts)


def code_of(kind: type[SitewiseError]) -> str:
    """The stable name of a failure: its class's, in snake case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _rebuild(kind: type[Failure], facts: dict[str, object]) -> Failure:
    return kind(**facts)


# --- retry: the same work may succeed later ------------------------------------------------


class TemporaryError(SitewiseError):
    """The same work may succeed later."""


class DatabaseUnavailable(TemporaryError):
    """The database did not answer."""

    remedy = "Start it, or check SITEWISE_DATABASE__URL; nothing was lost."


class BrokerUnavailable(TemporaryError):
    """The message broker did not answer."""

    remedy = "Start it, or check SITEWISE_BROKER__URL; waiting work continues by itself."


class VectorStoreUnavailable(TemporaryError):
    """The vector store did not answer."""

    remedy = "Start it, or check SITEWISE_UPSERT__QDRANT_URL; waiting work continues by itself."


class EmbedderUnavailable(TemporaryError):
    """The embedding model did not answer."""


class RerankerUnavailable(TemporaryError):
    """The reranking model did not answer."""

    remedy = "Without SITEWISE_RETRIEVE__RERANK_MODEL answers keep the order of the search."


class ReceiverUnavailable(TemporaryError):
    """A receiver of our calls, such as a webhook, did not answer."""


class DiskFull(TemporaryError):
    """No space is left where Sitewise keeps its knowledge."""

    remedy = "Free some space and run the same command again; what was stored is kept."


class ParserUnavailable(TemporaryError):
    """No parser can be started: the machine has no process or memory left for one."""


class SpiderEnded(TemporaryError):
    """The spider that looked at this website ended before it was done."""

    remedy = "Nothing was stored; try again, or look into its last words."


class PreviewsBusy(TemporaryError):
    """Too many websites are looked at already."""

    remedy = "Try again in a minute."


class GenerationChanged(TemporaryError):
    """Another embedding model came into use meanwhile."""

    remedy = "Ask again: nothing was lost, and waiting work continues by itself."


class LeaseLost(TemporaryError):
    """Another worker holds this work now; what this one did late was refused."""


class BeingSwept(TemporaryError):
    """A point that is wanted again is just being removed; a moment later it can be written anew."""


# --- refuse: the caller gave something that cannot work ------------------------------------


class InvalidInput(SitewiseError):
    """The request cannot be carried out as given."""


class InvalidUrl(InvalidInput):
    """This is not an address Sitewise can crawl."""

    remedy = "Give a full http or https address, such as https://www.example.com/."


class AddressRefused(InvalidInput):
    """Sitewise does not connect to this address."""

    remedy = "For an intranet or a test, list its network in SITEWISE_CRAWL__ALLOWED_ADDRESSES; then any port will do."


class InvalidPattern(InvalidInput):
    """An include or exclude rule cannot work."""

    remedy = "Use a glob such as /docs/* or re: followed by an RE2 expression."


class InvalidHost(InvalidInput):
    """A host cannot be added to a website."""

    remedy = "Give a name such as help.example.com, or *.example.com for every host under it."


class HostUnreachable(InvalidInput):
    """This website does not answer, so it was not added."""

    remedy = "Check the address in a browser, and try again when it opens there."


class InvalidScenario(InvalidInput):
    """A training scenario cannot be stored as given."""


class ScenarioChanged(InvalidScenario):
    """Somebody else changed the scenario meanwhile, so nothing was replaced."""

    remedy = "Read it again, and decide anew."


class InvalidQuestion(InvalidInput):
    """A question cannot be answered as given."""


class NotFound(InvalidInput):
    """The org has no such thing."""


class OrgNotFound(NotFound):
    """There is no such org."""


class PartnerNotFound(NotFound):
    """There is no such partner."""


class KeyNotFound(NotFound):
    """There is no such API key."""


class DatasourceNotFound(NotFound):
    """The org has no such datasource."""


class CrawlNotFound(NotFound):
    """The org has no such crawl."""


class DeadLetterNotFound(NotFound):
    """The org has no such dead letter."""


class PageNotFound(NotFound):
    """The org has no such page."""


class ScenarioNotFound(NotFound):
    """The org has no such scenario."""


class WebhookNotFound(NotFound):
    """The org has no such webhook."""


class DeliveryNotFound(NotFound):
    """This webhook has no such delivery, or it is no longer kept."""


class VersionNotFound(NotFound):
    """The scenario was never published under this number."""


class NothingHeld(InvalidInput):
    """This crawl holds nothing that could be decided about."""

    remedy = "A later crawl may have replaced it; `sitewise jobs list` shows which crawl holds pages."


class CrawlUnfinished(InvalidInput):
    """A roll-back needs a crawl that has ended, and no crawl of the website under way."""

    remedy = "Wait until it ends, or cancel it."


class NothingToReembed(InvalidInput):
    """There is nothing to embed again."""


class ReembeddingUnderWay(InvalidInput):
    """The knowledge is being embedded for another model already."""

    remedy = "`sitewise reembed status` tells how far it is; `sitewise reembed cancel` ends it."


class DirectoryNotFound(NotFound):
    """The org has no such directory."""


class BriefingNotFound(NotFound):
    """The org has no such briefing, or it is no longer kept."""


class QuestionNotFound(NotFound):
    """This org has no such golden question."""


class InvalidGoldenQuestion(InvalidInput):
    """This golden question cannot be asked."""


class InstructionsTooLong(InvalidScenario):
    """What always applies no longer fits into a briefing, and it is never cut."""

    remedy = "Shorten a BEHAVIORAL scenario, restrict it to a channel, or raise SITEWISE_RETRIEVE__MAX_TOKENS."


class DatasourceExists(InvalidInput):
    """The org has a datasource at this address already."""

    remedy = "Change that one, or delete it first."


class CrawlAlreadyRunning(InvalidInput):
    """A crawl of this datasource is already running."""


class OrgExists(InvalidInput):
    """The partner has an org with this external_id already."""

    remedy = "Use that org, or give this one another external_id."


class NothingToPublish(InvalidInput):
    """There is no draft that could be published."""

    remedy = "Write a draft first."


class InvalidWebhook(InvalidInput):
    """A webhook cannot be set as given."""


class InvalidCursor(InvalidInput):
    """This cursor was not given out by this list."""

    remedy = "Begin again without a cursor."


class InvalidIdempotencyKey(InvalidInput):
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""


class IdempotencyKeyReused(InvalidInput):
    """This Idempotency-Key came with another request before."""

    remedy = "Give every request a key of its own; only a repetition uses the same."


class RequestInFlight(TemporaryError):
    """A request with this Idempotency-Key is still being carried out."""

    remedy = "Ask again in a moment: its answer will be given."


class LimitReached(TemporaryError):
    """More was asked for than may be at a time."""

    def __init__(self, *, retry_after: float = 60.0, **facts: object) -> None:
        """Keep when it may be tried again (seconds)."""
        super().__init__(**facts, retry_after=retry_after)
        self.retry_after = retry_after


class RateExceeded(LimitReached):
    """Too many requests."""

    remedy = "Wait as long as Retry-After says."


class QuotaReached(LimitReached):
    """As many as may be are there already."""

    remedy = "Remove some, or ask whoever runs this Sitewise for a higher quota."


# --- refuse: the caller may not ------------------------------------------------------------


class NotAllowed(SitewiseError):
    """The caller may not do this."""


class KeyRefused(NotAllowed):
    """This API key is not valid."""

    remedy = "Send `Authorization: Bearer <key>` with a key that is not revoked and has not expired."


class ScopeMissing(NotAllowed):
    """This API key may not do that."""

    remedy = "Use a key that has the scope, or one of the other kind."


# --- mend: a person has to change something ------------------------------------------------


class SetupError(SitewiseError):
    """Sitewise cannot run as it is set up."""


class InvalidSettings(SetupError):
    """A setting has a value that cannot work."""

    remedy = "`sitewise settings` lists every setting, its unit and its bounds."


class UnsafeSettings(SetupError):
    """The HTTP API would be unsafe as it is set up, so it does not start."""

    remedy = (
        "Use a password of your own and give the API a certificate, or set SITEWISE_API__PLAIN_HTTP_IN_PUBLIC=true "
        "where something before it ends TLS."
    )


class DataDirectoryUnusable(SetupError):
    """The data directory cannot be written."""

    remedy = "Choose another with --data-dir or SITEWISE_DATA_DIR, or change its permissions."


class DataDirectoryBusy(SetupError):
    """Another process owns the data directory."""

    remedy = "Wait for it, or stop it; one process at a time owns an embedded knowledge base."


class DatabaseTooNew(SetupError):
    """The database was written by a newer Sitewise."""

    remedy = "Upgrade Sitewise, or use another data directory; nothing was changed."


class DatabaseTooOld(SetupError):
    """The database was written by an older Sitewise."""

    remedy = "Run `sitewise db upgrade`; the knowledge is kept."


class ModelNotFound(SetupError):
    """The embedding model cannot be loaded."""

    remedy = "Install the default model with `make setup`, or set SITEWISE_EMBED__MODEL to a folder or a hub name."


class PackageMissing(SetupError):
    """The settings ask for something whose Python package is not installed."""

    remedy = "Install the package, or change the setting."


class TracingMissing(SetupError):
    """Traces are asked for, and what sends them is not installed."""

    remedy = "Install it with `pip install 'sitewise[tracing]'`, or leave SITEWISE_TRACING__ENDPOINT empty."


class BrowserMissing(SetupError):
    """Pages can be rendered only by a browser, and none is set up here."""

    remedy = (
        "Install `sitewise[browser]` and Chromium (on Debian and Ubuntu: apt install chromium), name it in "
        "SITEWISE_BROWSER__EXECUTABLE if it is not on the path, or leave render_js at never."
    )


class ModelMismatch(SetupError):
    """The knowledge base was embedded with another model."""

    remedy = (
        "Set SITEWISE_EMBED__MODEL back; then `sitewise reembed start`, run with another model set, changes over to "
        "that one while the knowledge answers."
    )


class WebhookKeyMissing(SetupError):
    """Webhooks cannot be signed, because this installation has no key for it."""

    remedy = "Set SITEWISE_WEBHOOKS__KEY to the same 32 or more random characters everywhere."


class WebhookKeyChanged(SetupError):
    """A webhook cannot be signed: its secret was made with another key of this installation."""

    remedy = "Set SITEWISE_WEBHOOKS__KEY back, or rotate the webhook's secret and give its receiver the new one."


class PortInUse(SetupError):
    """Another program listens on this port."""

    remedy = "Choose another with --port."


class GuardBypassed(SetupError):
    """Something would let a crawl connect without its address check, so it does not start."""

    remedy = "Undo what is named above: Sitewise never crawls without that check."


# --- park: trying again would fail again ---------------------------------------------------


class PermanentError(SitewiseError):
    """Trying again would fail again."""


class ExtractionFailed(PermanentError):
    """A page cannot be read as HTML."""


class DocumentUnreadable(ExtractionFailed):
    """A document cannot be read."""


class PageTooComplex(ExtractionFailed):
    """A page is nested too deep, or has too many attributes, to be parsed safely."""


class DocumentTooLong(PageTooComplex):
    """A document has more pages or more text than anybody writes."""


class ParserEnded(PageTooComplex):
    """A page ended its parser, or needs more memory than a page may have."""


class PageTooSlow(ExtractionFailed):
    """A page took longer to parse than its time limit, and its parser was stopped."""


class Poison(PermanentError):
    """This work has ended its worker too often and was set aside."""


class TextTooLong(PermanentError):
    """A text has more tokens than the model reads."""


class InvalidVector(PermanentError):
    """A vector cannot be stored."""


class ForeignPoint(PermanentError):
    """A point of one org was written in the name of another."""
