"""Small real websites, and what tests plant in them."""
