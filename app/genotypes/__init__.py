"""Genotype files: what they are, whether a server will take them, test data, and accuracy.

Nothing here imports the rest of the platform or a web framework, so that a worker process starts quickly.
"""
