"""Whole runs: the real server and the real sandbox, each a process of its own, over HTTP."""
