"""LlamaIndex's default pipeline, timed in a Python of its own: `VectorStoreIndex` and its retriever, in memory.

Called by `retrieve_peer`; prints JSON. It needs nothing of this project but the path of the model and of its library.
"""

import json
import sys
import time

ASKED = json.loads(sys.argv[1])
sys.path.append(ASKED["packages"])  # after its own: only what it lacks comes from there

import numpy as np  # noqa: E402 - from the place named above, if nowhere else
from llama_index.core import Settings, VectorStoreIndex  # type: ignore[import-not-found] # noqa: E402 - as above
from llama_index.core.base.embeddings.base import BaseEmbedding  # type: ignore[import-not-found] # noqa: E402 - as above
from llama_index.core.schema import TextNode  # type: ignore[import-not-found] # noqa: E402 - as above
from llama_index.core.vector_stores import (  # type: ignore[import-not-found] # noqa: E402 - as above
    MetadataFilter,
    MetadataFilters,
)
from sentence_transformers import SentenceTransformer  # noqa: E402 - as above

WARM, TOP_K = 5, 8


class Model(BaseEmbedding):  # type: ignore[misc] # its base has no types here
    """The same model, run as its own library runs it."""

    def __init__(self, path: str) -> None:
        """Load it."""
        super().__init__()
        self._model = SentenceTransformer(path)

    def _get_query_embedding(self, query: str) -> list[float]:
        found: list[float] = self._model.encode(query).tolist()
        return found

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_query_embedding(text)


def main() -> None:
    """Index the chunks and vectors that were handed over, then time questions of one org each."""
    Settings.embed_model = Model(ASKED["model"])
    given = np.load(ASKED["given"])
    nodes = [
        TextNode(text=" ".join(f"word{rank}" for rank in ranks), metadata={"org": str(org)}, embedding=vector.tolist())
        for org, ranks, vector in zip(given["orgs"], given["ranks"], given["dense"], strict=True)
    ]
    index = VectorStoreIndex(nodes)
    seconds = []
    for org, question in ASKED["questions"]:
        began = time.perf_counter()
        only = MetadataFilters(filters=[MetadataFilter(key="org", value=org)])
        index.as_retriever(similarity_top_k=TOP_K, filters=only).retrieve(question)
        seconds.append(time.perf_counter() - began)
    p50, p99 = np.percentile(seconds[WARM:], [50, 99]) * 1_000
    sys.stdout.write(json.dumps({"first": 1_000 * seconds[0], "p50": p50, "p99": p99}) + "\n")


main()
