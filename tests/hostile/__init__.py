"""What hostile websites and input cannot do."""
