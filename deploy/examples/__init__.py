"""Programs that use the HTTP API as a platform would."""
