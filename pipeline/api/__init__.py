"""The HTTP API: `create_app` makes it, `python -m pipeline.api` serves it."""
