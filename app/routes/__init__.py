"""The door of the web: one module a noun, each a table of endpoints; `table` puts them together."""
