"""What the product is measured against: the same, by hand, with nothing around it."""
