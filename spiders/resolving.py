"""The shapes of Twisted's name resolution; its own interfaces say nothing to a type checker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Address(Protocol):
    """An address a name resolved to; `host` is a literal."""

    host: str


class Resolution(Protocol):
    """A resolution under way."""

    name: str

    def cancel(self) -> None:
        """Give it up."""
        ...


class Receiver(Protocol):
    """Is told a name's addresses one by one."""

    def resolutionBegan(self, resolution: Resolution) -> None:  # noqa: N802 - Twisted's name
        """Called first."""
        ...

    def addressResolved(self, address: Address) -> None:  # noqa: N802 - Twisted's name
        """Called for each address."""
        ...

    def resolutionComplete(self) -> None:  # noqa: N802 - Twisted's name
        """Called last."""
        ...


class Resolver(Protocol):
    """Turns a host into addresses."""

    def resolveHostName(  # noqa: N802 - Twisted's name
        self,
        resolutionReceiver: Receiver,  # noqa: N803 - Twisted's name
        hostName: str,  # noqa: N803 - Twisted's name
        portNumber: int = 0,  # noqa: N803 - Twisted's name
        addressTypes: Sequence[type[Address]] | None = None,  # noqa: N803 - Twisted's name
        transportSemantics: str = "TCP",  # noqa: N803 - Twisted's name
    ) -> Resolution:
        """Begin a resolution."""
        ...


class Resolving(Protocol):
    """A reactor, as far as names go."""

    nameResolver: Resolver  # noqa: N815 - Twisted's name

    def installNameResolver(self, resolver: Resolver) -> Resolver:  # noqa: N802 - Twisted's name
        """Put another resolver in place; the one before is returned."""
        ...
