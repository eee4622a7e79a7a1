"""The owner of a data directory: one process that brings what no server is set for, and keeps workers alive."""
