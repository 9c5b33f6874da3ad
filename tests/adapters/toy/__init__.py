"""A third dialect, as small as one can be: what `docs/adapters.md` walks through."""
