"""Use cases: one function, one transaction. What an edge may ask of Sitewise."""
