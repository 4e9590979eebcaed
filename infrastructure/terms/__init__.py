"""What holds for one tenant: quotas and prices, set by the operators of the platform."""
