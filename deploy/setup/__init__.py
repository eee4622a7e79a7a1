"""How a checkout becomes a working Sitewise: environment, locks, settings reference."""
