"""The truth: one module per table, the class and beside it every query that touches it."""
