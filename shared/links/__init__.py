"""Links that work without an account."""
