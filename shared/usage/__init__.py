"""What a tenant uses and may use: runs, what is open at once, models' tokens and money."""
