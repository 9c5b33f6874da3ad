"""The engine's loops: polling, handing over, the worker."""
