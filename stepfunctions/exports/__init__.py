"""Workflows that leave, and that come from elsewhere: what they need, how they are written, what deploys them alone."""
