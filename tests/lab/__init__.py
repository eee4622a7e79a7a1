"""A site server of our own, scripted per URL: what a crawler's tests crawl."""

from tests.lab.site import LabSite
from tests.lab.wire import LabRequest, Reply

__all__ = ["LabRequest", "LabSite", "Reply"]
