"""Settings become adapters, adapters become services: the only place that chooses. It imports lazily."""

from __future__ import annotations

from datetime import timedelta
from functools import cache, cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from pipeline.model import OrgScope
from pipeline.parts import Parts
from pipeline.services.crawls import CrawlService
from pipeline.services.ledger import DatabaseLedger
from pipeline.services.orgs import OrgService
from pipeline.services.pages import PageService
from pipeline.services.upkeep import UpkeepService
from pipeline.services.verification import VerificationService
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.services.answers import AnswerService
    from pipeline.services.audit import AuditService
    from pipeline.services.briefings import BriefingArchive
    from pipeline.services.datasources import DatasourceService
    from pipeline.services.dead_letters import DeadLetterService
    from pipeline.services.erasure import ErasureService
    from pipeline.services.evaluation import EvaluationService
    from pipeline.services.exposition import ExpositionService
    from pipeline.services.gatekeeping import Gatekeeper
    from pipeline.services.history import HistoryService
    from pipeline.services.idempotency import IdempotencyService
    from pipeline.services.indexing import IndexService
    from pipeline.services.keys import KeyService
    from pipeline.services.limits import LimitService
    from pipeline.services.nearness_scales import NearnessScales
    from pipeline.services.operations import OperationsService
    from pipeline.services.orders import OrderService
    from pipeline.services.org_overview import OrgOverviewService
    from pipeline.services.org_settings import OrgSettingService
    from pipeline.services.page_actions import PageActionService
    from pipeline.services.previewing import PreviewService
    from pipeline.services.provisioning import ProvisioningService
    from pipeline.services.readiness import ReadinessService
    from pipeline.services.reembedding import ReembeddingService
    from pipeline.services.rereading import RereadingService
    from pipeline.services.schedules import ScheduleService
    from pipeline.services.searching import SearchService
    from pipeline.services.training import TrainingService
    from pipeline.services.training_budget import RoomCheck
    from pipeline.services.training_directories import DirectoryService
    from pipeline.services.training_exchange import ExchangeService
    from pipeline.services.training_lint import LintService
    from pipeline.services.training_matchers import Matchers
    from pipeline.services.webhook_secrets import Secrets
    from pipeline.services.webhook_sending import WebhookSender
    from pipeline.services.webhooks import WebhookService


class Services(Parts):
    """Every use case, made when first asked for. Open it after a fork; close it when done."""

    @cached_property
    def orgs(self) -> OrgService:
        """Tenants."""
        return OrgService(self.database, self.clock)

    @cached_property
    def provisioning(self) -> ProvisioningService:
        """Partners, and orgs for them."""
        from pipeline.services.provisioning import ProvisioningService

        return ProvisioningService(self.database, self.limits, self.clock, check=self._room_check)

    @cached_property
    def keys(self) -> KeyService:
        """API keys."""
        from pipeline.services.keys import KeyService

        return KeyService(self.database, self.clock)

    @cached_property
    def limits(self) -> LimitService:
        """How much may be asked for."""
        from pipeline.services.limits import LimitService

        return LimitService(self.database, self.settings.limits, self.clock)

    @cached_property
    def org_settings(self) -> OrgSettingService:
        """What orgs and partners set for themselves."""
        from pipeline.services.org_settings import OrgSettingService

        return OrgSettingService(self.database, self.clock, check=self._room_check)

    @cached_property
    def readiness(self) -> ReadinessService:
        """Whether each part answers."""
        from pipeline.services.readiness import ReadinessService

        nobody = OrgScope(UUID(int=0))
        return ReadinessService(
            {
                "database": lambda: self.database.ping(),  # noqa: PLW0108 - it is opened when it is first asked
                "broker": self._hints_waiting,
                "vectors": lambda: self.generations.now().store().count(scope=nobody),
                "model": lambda: self.shared_embedder().encode_query("ready?"),
            }
        )

    @cached_property
    def audit(self) -> AuditService:
        """Who did what."""
        from pipeline.services.audit import AuditService

        return AuditService(self.database, self.clock)

    @cached_property
    def idempotency(self) -> IdempotencyService:
        """The same answer to the same request."""
        from pipeline.services.idempotency import IdempotencyService

        return IdempotencyService(self.database, self.clock)

    @cached_property
    def crawls(self) -> CrawlService:
        """Websites and their crawls."""
        return CrawlService(self.database, self.settings, self.hints, self.clock)

    @cached_property
    def orders(self) -> OrderService:
        """What other services ask for in messages."""
        from pipeline.services.orders import OrderService

        return OrderService(
            self.database, datasources=self.datasources, crawls=self.crawls, limits=self.limits, audit=self.audit
        )

    @cached_property
    def datasources(self) -> DatasourceService:
        """Websites, as a platform changes and deletes them."""
        from pipeline.services.datasources import DatasourceService

        return DatasourceService(self.database, self.settings, self.hints, self.clock)

    @cached_property
    def page_actions(self) -> PageActionService:
        """What may be done to pages, one or many."""
        from pipeline.services.page_actions import PageActionService

        return PageActionService(self.database, self.settings, self.hints, self.clock)

    @cached_property
    def erasure(self) -> ErasureService:
        """Orgs that are to be forgotten."""
        from pipeline.services.erasure import ErasureService

        return ErasureService(self.database, self.clock, store=self.store)

    @cached_property
    def pages(self) -> PageService:
        """What is known of each URL."""
        return PageService(self.database, self.settings, self.clock)

    @cached_property
    def previews(self) -> PreviewService:
        """What a crawl would do; needs no database."""
        from pipeline.services.previewing import PreviewService

        return PreviewService(self.settings, lambda: self._previewer, lambda: self._outbound)

    @cached_property
    def index(self) -> IndexService:
        """From waiting texts to live points."""
        from pipeline.services.indexing import IndexService

        return IndexService(
            self.database,
            self.settings,
            self.hints,
            self.clock,
            generations=self.generations,
            sparse=self.sparse,
        )

    @cached_property
    def reembedding(self) -> ReembeddingService:
        """Another model, beside the one that answers and then in its place."""
        from pipeline.services.reembedding import ReembeddingService

        return ReembeddingService(
            self.database,
            self.settings,
            self.hints,
            self.clock,
            generations=self.generations,
            store=self.store,
            sparse=self.sparse,
            matchers=self.matchers,
        )

    @cached_property
    def rereading(self) -> RereadingService:
        """Stored pages, read again by a newer extractor."""
        from pipeline.services.rereading import RereadingService

        return RereadingService(
            self.database,
            self.settings,
            self.hints,
            self.clock,
            parsers=self._parsers,
            extractor=_extractor,
        )

    @cached_property
    def history(self) -> HistoryService:
        """What pages said before, and what crawls hold."""
        from pipeline.services.history import HistoryService

        return HistoryService(self.database, self.settings, self.hints, self.clock, index=lambda: self.index)

    @cached_property
    def upkeep(self) -> UpkeepService:
        """What the beat does."""
        return UpkeepService(self.database, self.settings, self.hints, self.clock, store=self.store)

    @cached_property
    def operations(self) -> OperationsService:
        """Who works, what waits, which parts answer."""
        from pipeline.services.operations import OperationsService

        return OperationsService(
            self.database,
            self.settings,
            self.clock,
            store=lambda: self.generations.now().store(),
            hints_waiting=self._hints_waiting,
        )

    @cached_property
    def org_overview(self) -> OrgOverviewService:
        """How one org's own work stands."""
        from pipeline.services.org_overview import OrgOverviewService

        return OrgOverviewService(
            self.database, self.settings.work, self.clock, crawls=self.crawls, schedules=self.schedules
        )

    @cached_property
    def exposition(self) -> ExpositionService:
        """What Prometheus reads."""
        from pipeline.services.exposition import ExpositionService

        return ExpositionService(self.database, self.settings, self.clock)

    @cached_property
    def schedules(self) -> ScheduleService:
        """When websites are crawled."""
        from pipeline.services.schedules import ScheduleService

        return ScheduleService(self.database, self.crawls, self.clock)

    @cached_property
    def dead_letters(self) -> DeadLetterService:
        """What died, and how it is put back."""
        from pipeline.services.dead_letters import DeadLetterService

        return DeadLetterService(self.database, self.hints, self.clock)

    @cached_property
    def training(self) -> TrainingService:
        """Scenarios."""
        from pipeline.services.training import TrainingService

        return TrainingService(
            self.database, self.settings, self.clock, embedder=self.shared_embedder, matchers=self.matchers
        )

    @cached_property
    def directories(self) -> DirectoryService:
        """Folders of scenarios."""
        from pipeline.services.training_directories import DirectoryService

        return DirectoryService(self.database, self.clock)

    @cached_property
    def lint(self) -> LintService:
        """What in training is in its own way."""
        from pipeline.services.training_lint import LintService

        return LintService(self.database, self.clock, knowledge=self.generations.now, matchers=self.matchers)

    @cached_property
    def exchange(self) -> ExchangeService:
        """Scenarios as files."""
        from pipeline.services.training_exchange import ExchangeService

        return ExchangeService(self.training, self.directories)

    @cached_property
    def answers(self) -> AnswerService:
        """Briefings."""
        return self._answers(self.briefings)

    @cached_property
    def evaluation(self) -> EvaluationService:
        """Golden questions, and how well they are answered; what is asked for them is not kept."""
        from pipeline.services.briefings import BriefingArchive
        from pipeline.services.evaluation import EvaluationService

        unkept = BriefingArchive(self.database, self.clock, keep=timedelta(0))
        return EvaluationService(self.database, self.clock, answers=lambda: self._answers(unkept))

    @cached_property
    def gatekeeper(self) -> Gatekeeper:
        """Crawls scored before they end."""
        from pipeline.services.gatekeeping import Gatekeeper

        return Gatekeeper(self.database, self.settings, self.hints, self.clock, evaluation=self.evaluation)

    @cached_property
    def search(self) -> SearchService:
        """Training and knowledge, by meaning."""
        from pipeline.services.searching import SearchService

        return SearchService(
            self.database,
            self.settings,
            knowledge=self.generations.now,
            matchers=self.matchers,
        )

    @cached_property
    def briefings(self) -> BriefingArchive:
        """Briefings given before."""
        from pipeline.services.briefings import BriefingArchive

        return BriefingArchive(self.database, self.clock, keep=self.settings.retrieve.keep_briefings)

    @cached_property
    def matchers(self) -> Matchers:
        """What was learnt from each org's triggers."""
        from pipeline.services.training_matchers import Matchers

        return Matchers(self.database, self.clock)

    @cached_property
    def nearness_scales(self) -> NearnessScales:
        """How near each org's knowledge is to whatever is asked."""
        from pipeline.services.nearness_scales import NearnessScales

        return NearnessScales(self.database, self.clock, knowledge=self.generations.now)

    @cached_property
    def verification(self) -> VerificationService:
        """The difference between rows and points."""
        return VerificationService(self.database, self.settings, self.clock, store=self.store)

    @cached_property
    def webhooks(self) -> WebhookService:
        """Who is told of what happens."""
        from pipeline.services.webhooks import WebhookService

        return WebhookService(
            self.database,
            self.settings.webhooks,
            self.clock,
            secrets=self._webhook_secrets,
            check=lambda url: self._receivers.check(url),  # noqa: PLW0108 - the client is made when first needed
        )

    @cached_property
    def webhook_sender(self) -> WebhookSender:
        """Tells them."""
        from pipeline.services.webhook_sending import WebhookSender

        return WebhookSender(
            self.database,
            self.settings.webhooks,
            self.clock,
            secrets=self._webhook_secrets,
            receivers=lambda: self._receivers,
        )

    def close(self) -> None:
        """Close what was opened here; what was given stays open."""
        if "webhook_sender" in self.__dict__:
            self.webhook_sender.close()
        if "matchers" in self.__dict__:
            self.matchers.close()
        if "nearness_scales" in self.__dict__:
            self.nearness_scales.close()
        if "briefings" in self.__dict__:
            self.briefings.close()
        self.close_parts()

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _answers(self, archive: BriefingArchive) -> AnswerService:
        from pipeline.services.answers import AnswerService

        return AnswerService(
            self.database,
            self.settings,
            self.clock,
            generations=self.generations,
            sparse=self.sparse,
            reranker=self.shared_reranker,
            matchers=self.matchers,
            scales=self.nearness_scales,
            archive=archive,
        )

    @cached_property
    def _room_check(self) -> RoomCheck:
        from pipeline.services.training_budget import RoomCheck

        return RoomCheck(self.settings, self.clock, self.shared_embedder)

    @cached_property
    def _webhook_secrets(self) -> Secrets:
        from pipeline.adapters.webhook_key import webhook_key
        from pipeline.services.webhook_secrets import Secrets

        return Secrets(cache(lambda: webhook_key(self.settings)))


def _extractor() -> str:
    from pipeline.stages.extract import EXTRACTOR

    return EXTRACTOR


def open_services(settings: Settings) -> Services:
    """Every use case on these settings; nothing is opened before it is used."""
    return Services(settings)


def load_tables() -> None:
    """Import and relate all tables, as the first query would, for a process that is to be copied before."""
    from pipeline.db.tables import load

    load()


def open_ledger(settings: Settings, *, crawl_id: UUID, org_id: UUID, token: UUID) -> DatabaseLedger:
    """The rows of one crawl, for the spider that holds it under `token`."""
    services = open_services(settings)
    return DatabaseLedger(
        services.database,
        settings,
        services.hints,
        services.clock,
        crawl_id=crawl_id,
        scope=OrgScope(org_id),
        token=token,
        sends_aside=True,
    )
