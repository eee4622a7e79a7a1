"""A site server of our own, scripted per URL, with a clock of its own: what a crawler's tests crawl."""

from tests.lab.clock import LabClock
from tests.lab.site import LabSite
from tests.lab.wire import LabRequest, Reply

__all__ = ["LabClock", "LabRequest", "LabSite", "Reply"]
