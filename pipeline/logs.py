"""Logging: one line a unit of work, a fixed phrase and keys; for people on a terminal, JSON elsewhere.

Nothing logs page text, questions, keys or the query part of a URL.
"""

from __future__ import annotations

import logging
import sys
from typing import cast

import structlog
from structlog.types import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from pipeline import tracing
from pipeline.settings import Settings


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module; its lines carry the module's name."""
    return cast("FilteringBoundLogger", structlog.stdlib.get_logger(name))


def set_up_logging(settings: Settings) -> None:
    """Send every line of this process, of libraries too, to stderr in one form."""
    for_people = settings.log_format == "plain" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if for_people
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("alembic").setLevel(max(root.level, logging.WARNING))  # it tells of every plugin it has


def _add_trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Name the trace that a line belongs to, where there is one."""
    if (trace_id := tracing.trace_id()) is not None:
        line["trace_id"] = trace_id
    return line
