"""A name server in a table: what each name answers, time after time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address

from twisted.internet.address import IPv4Address as TcpAddress
from twisted.internet.address import IPv6Address as Tcp6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from zope.interface import implementer  # type: ignore[import-untyped]

from spiders.resolving import Address, Receiver, Resolution


@implementer(IHostResolution)
class _Done:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Nothing is under way."""


@implementer(IHostnameResolver)
class NameTable:
    """Resolves names from a table of successive answers, the last of which stands; literals are themselves."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        """Answer each name with its lists of addresses, one list a question."""
        self._answers = {name: list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    def resolveHostName(  # noqa: N802 - the interface's name
        self,
        resolutionReceiver: Receiver,  # noqa: N803 - the interface's name
        hostName: str,  # noqa: N803 - the interface's name
        portNumber: int = 0,  # noqa: N803 - the interface's name
        addressTypes: Sequence[type[Address]] | None = None,  # noqa: ARG002, N803 - the interface's name
        transportSemantics: str = "TCP",  # noqa: ARG002, N803 - the interface's name
    ) -> Resolution:
        """Answer at once."""
        self.asked.append(hostName)
        resolution = _Done(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in self._look_up(hostName):
            family = Tcp6Address if isinstance(ip_address(address), IPv6Address) else TcpAddress
            resolutionReceiver.addressResolved(family("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution

    def _look_up(self, name: str) -> Sequence[str]:
        try:
            ip_address(name)
        except ValueError:
            lists = self._answers.get(name, [[]])
            return lists.pop(0) if len(lists) > 1 else lists[0]
        return [name]
