"""Where the servers' Unix sockets are."""

import hashlib
import os
import re
from pathlib import Path

MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` of unix(7), without its final NUL."""

# What needs no quoting in any place the folder is written: PostgreSQL's options, and two kinds of URL.
_PLAIN = re.compile(r"[A-Za-z0-9_./+~-]+")


def socket_dir(root: Path, longest_name: str) -> Path:
    """The folder for the sockets of the server below `root`, the same for every process of one account.

    It is in `root`, or, when the path would be too long for a socket or has unusual characters, in a common
    place under a name derived from `root`. Not in XDG_RUNTIME_DIR, which goes away when the user logs out.
    """
    inside = root / "run"
    length = len(os.fsencode(inside / longest_name))
    if length <= MAX_SOCKET_PATH_BYTES and _PLAIN.fullmatch(str(inside)):
        return inside
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:20]
    base = Path("/run" if os.geteuid() == 0 else "/tmp")  # noqa: S108 (its owner is checked before use)
    return base / f"fip-{name}"
