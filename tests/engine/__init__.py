"""The engine's rules, each against a real sandbox server over HTTP."""
