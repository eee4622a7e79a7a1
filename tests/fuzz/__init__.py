"""Parsers fed with anything: what must hold for every input, and who feeds it."""
