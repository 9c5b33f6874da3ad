"""Real servers, started, killed and found again."""
