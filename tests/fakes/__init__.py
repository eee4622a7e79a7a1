"""Real, small stand-ins for outside systems, held to the same contracts."""
