"""Collections of passages with their vectors, one tenant's own: what retrieval searches in."""
