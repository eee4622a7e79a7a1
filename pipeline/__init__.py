"""What Sitewise does: read a website, keep what it learned current, answer from it."""
