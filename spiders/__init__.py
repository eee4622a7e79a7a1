"""How pages come in: the Scrapy project that walks one site at a time."""
