"""How fast it is, beside stock parts."""
