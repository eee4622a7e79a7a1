"""What requests and answers look like, field by field."""
