"""The HTTP side that all routes share: endpoints, problems, middlewares, OpenAPI, streaming."""
