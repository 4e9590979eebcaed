"""Values, stores and node types: the ground floor. It knows nothing of compilers, engines or HTTP routes."""
