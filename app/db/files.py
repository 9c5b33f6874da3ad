"""Typed functions over the queries of files."""

from app.db.queries import load

FILES = load("files")
