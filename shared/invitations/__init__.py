"""People who are asked to become users of a tenant."""
