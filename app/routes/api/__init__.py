"""JSON endpoints, one module a noun."""
