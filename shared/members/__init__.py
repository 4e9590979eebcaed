"""Tenants and who may act in them: users, their types and roles, API keys."""
