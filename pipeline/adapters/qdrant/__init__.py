"""The vector store: the only room that knows a Qdrant client."""
