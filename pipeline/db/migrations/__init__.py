"""Every change of the tables, in order. `pipeline.db.revision` runs them."""
