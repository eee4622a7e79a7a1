"""Parts working together on real servers."""
