"""Whether the project keeps its own rules."""
