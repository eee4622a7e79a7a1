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

WARM, TOP_K, VOCABULARY = 5, 8, 8_000


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


def words(count: int, rng: np.random.Generator) -> str:
    """Made-up words in natural proportions."""
    return " ".join(f"word{min(VOCABULARY, rank)}" for rank in rng.zipf(1.25, size=count))


def main() -> None:
    """Index generated chunks with generated vectors, then time questions of one org each."""
    rng = np.random.default_rng(1)
    Settings.embed_model = Model(ASKED["model"])
    centres = rng.normal(size=(200, ASKED["dimension"]))
    nodes = []
    for number in range(ASKED["chunks"]):
        vector = centres[rng.integers(200)] + rng.normal(size=ASKED["dimension"]) * 1.2
        org = str(number % ASKED["orgs"])
        vector /= np.linalg.norm(vector)
        nodes.append(TextNode(text=words(120, rng), metadata={"org": org}, embedding=vector.tolist()))
    index = VectorStoreIndex(nodes)
    seconds = []
    for _ in range(ASKED["questions"]):
        org = str(rng.integers(ASKED["orgs"]))
        question = words(10, rng)
        began = time.perf_counter()
        only = MetadataFilters(filters=[MetadataFilter(key="org", value=org)])
        index.as_retriever(similarity_top_k=TOP_K, filters=only).retrieve(question)
        seconds.append(time.perf_counter() - began)
    p50, p99 = np.percentile(seconds[WARM:], [50, 99]) * 1_000
    sys.stdout.write(json.dumps({"first": 1_000 * seconds[0], "p50": p50, "p99": p99}) + "\n")


main()
