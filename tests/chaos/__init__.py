"""What survives when things are killed."""
