"""Passwords, tokens, the vault for secrets, and signed links."""
