"""What can go wrong with the embedded servers; every message is written for the person at the terminal."""


class EmbeddedServerError(Exception):
    """Raised when an embedded server is not installed, does not start, or does not stay up."""


class DataDirLockedError(EmbeddedServerError):
    """Raised when another process already runs the platform on the same data directory."""
