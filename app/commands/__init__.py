"""The commands of `python -m app`, one module a noun. Each has `register(subparsers)`; a command is an async function."""
