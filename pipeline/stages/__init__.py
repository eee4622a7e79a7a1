"""What happens to a page, one pure module per stage. No stage knows another."""
