"""Commands against a deployment elsewhere: what they ask of services, asked over HTTP, with the same results."""

from __future__ import annotations

from pipeline.cli.remote.services import RemoteServices

__all__ = ["RemoteServices"]
