"""HTML pages and their parts: thin handlers that call use cases and fill templates."""
