"""Embedding backends: what turns text into vectors."""

import sys

# OpenVINO reports each import to its maker, over the network and from a child forked beside our threads, which can
# hang a process that ends. It goes without where the package for that cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # what Python takes for "not to be had"

from pipeline.adapters.embedder.opening import identify, open_embedder, open_tokenizer  # noqa: E402 - after the above

__all__ = ["identify", "open_embedder", "open_tokenizer"]
