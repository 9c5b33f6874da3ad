"""The queries of the analyses of jobs' results."""

from app.db.queries import load

ANALYSES = load("analyses")
