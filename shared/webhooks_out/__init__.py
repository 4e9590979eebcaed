"""Webhooks out: what happens in a tenant's runs and tasks, sent to addresses of the tenant's choice."""
