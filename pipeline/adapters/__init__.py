"""One room per outside system; nothing else in the project knows their clients."""
