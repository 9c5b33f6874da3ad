"""As whom a server runs: as ourselves, or, when we are root, as somebody who is not."""

import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.embedded.errors import EmbeddedServerError

ACCOUNTS = ("postgres", "nobody")
"""Existing accounts that root may drop a server to, best first. None is ever made."""

_READ_AND_ENTER = 0o5
_ENTER = 0o1
_NOBODY = 65534
_TRY_NAMESPACE = (
    "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000) != 0)"  # CLONE_NEWUSER
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The account of a server's process.

    `self`: ours, not root. `account`: (uid, gid), which root changes to. `namespace`: an unprivileged
    account in a user namespace, which outside is root's (uid, gid); for when no account can reach the files.
    `passer`: (uid, gid) with the one right to pass folders that are root's; for when there are no namespaces either.
    """

    mode: Literal["self", "account", "namespace", "passer"]
    uid: int
    gid: int


def choose_identity(root: Path, data: Path, needed: Sequence[Path]) -> Identity:
    """As whom to run the server that keeps `data` somewhere below `root` and needs the programs `needed`.

    An owner that `data` already has stays the owner as long as it can work.
    """
    if os.geteuid() != 0:
        return Identity("self", os.geteuid(), os.getegid())
    for uid, gid in _accounts(data):
        doors = [*root.parents, *(parent for path in needed for parent in path.parents)]
        if all(_permits(door, uid, gid, _ENTER) for door in set(doors)) and all(
            _permits(path, uid, gid, _READ_AND_ENTER) for path in needed
        ):
            return Identity("account", uid, gid)
    if allows_user_namespaces():
        return Identity("namespace", 0, 0)
    uid, gid = next(_accounts(data), (_NOBODY, _NOBODY))
    return Identity("passer", uid, gid)


def allows_user_namespaces() -> bool:
    """Whether this system lets us make one; inside a chroot, and in many containers, it does not (clone(2), EPERM)."""
    command = [sys.executable, "-I", "-S", "-c", _TRY_NAMESPACE]
    return subprocess.run(command, check=False, timeout=30).returncode == 0


def _accounts(data: Path) -> Iterator[tuple[int, int]]:
    if data.exists() and (owner := data.stat()).st_uid != 0:
        yield owner.st_uid, owner.st_gid
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        yield entry.pw_uid, entry.pw_gid


def _permits(path: Path, uid: int, gid: int, wanted: int) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
    return (status.st_mode >> shift) & wanted == wanted


def ensure_private_dir(path: Path, identity: Identity) -> None:
    """Makes `path` a folder that `identity` owns and no other account can enter, with all that is in it.

    Raises:
        EmbeddedServerError: it is a link, or somebody else made it and we are not root.
    """
    path.mkdir(exist_ok=True, mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise EmbeddedServerError(f"{path} is a link, not a folder")
    if status.st_uid != identity.uid:
        if identity.mode == "self":
            raise EmbeddedServerError(
                f"{path} belongs to {_account_name(status.st_uid)}: run as that account, "
                "or choose another data directory"
            )
        _own_tree(path, identity)
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)


def _own_tree(top: Path, identity: Identity) -> None:
    for _, folders, files, fd in os.fwalk(top):
        os.fchown(fd, identity.uid, identity.gid)
        for name in (*folders, *files):
            # Never through a link: the tree belonged to somebody who is not root.
            os.chown(name, identity.uid, identity.gid, dir_fd=fd, follow_symlinks=False)


def _account_name(uid: int) -> str:
    try:
        return f"the account {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the account with id {uid}"
