"""PostgreSQL and Valkey as child processes of ours, for machines on which nobody runs them for us.

Only the programs inside the wheels are used; starting, watching and ending them is done here
(docs/decisions/0002-embedded-servers.md says why). Linux only.
"""

from app.embedded.errors import DataDirLockedError, EmbeddedServerError
from app.embedded.lock import DataDirLock
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.process import Report
from app.embedded.programs import tool
from app.embedded.valkey import EmbeddedValkey

__all__ = [
    "DataDirLock",
    "DataDirLockedError",
    "EmbeddedPostgres",
    "EmbeddedServerError",
    "EmbeddedValkey",
    "Report",
    "tool",
]
