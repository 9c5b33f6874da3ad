"""Becomes a server: run as a script, it gives up what the server must not have and then executes it.

A program of its own and not a `preexec_fn`, because Python code between fork and exec may deadlock when the
process has other threads, and ours has. It imports nothing of the platform.

Arguments: pid of the platform, number of the signal the server gets when the platform dies, how to drop
privileges (`self`, `account`, `namespace`, `passer`), uid, gid, program, its arguments.
"""

import ctypes
import os
import struct
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2  # linux/securebits.h
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2  # linux/capability.h
CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWUSER = 0x10000000  # linux/sched.h
NOBODY = 65534  # the account that a user namespace shows for ids it does not map: always in passwd

_libc = ctypes.CDLL(None, use_errno=True)


def become_account(uid: int, gid: int) -> None:
    """Leaves root for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def enter_user_namespace(uid: int, gid: int) -> None:
    """Goes on as `nobody` in a user namespace that holds that one account, which is (uid, gid) outside."""
    if _libc.unshare(CLONE_NEWUSER) != 0:
        reason = os.strerror(ctypes.get_errno())
        sys.exit(
            "its files are out of reach for any account but root, which must not run it, and this system "
            f"does not allow a user namespace ({reason}). Run the platform as an ordinary user, move the "
            "data directory to where others may pass, or set FIP_DATABASE_URL and FIP_REDIS_URL."
        )
    for name, text in (
        ("setgroups", "deny"),  # user_namespaces(7): must precede gid_map
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 (pathlib would slow every start)
            file.write(text)


def become_passer(uid: int, gid: int) -> None:
    """Leaves root for good but for one right: to pass folders and read files, whoever owns them (capabilities(7))."""
    # Rights outlive the change of account, and access(2), by which PostgreSQL looks for its programs, heeds them.
    keep = _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
    become_account(uid, gid)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    only = 1 << CAP_DAC_READ_SEARCH
    sets = struct.pack(
        "=6I", only, only, only, 0, 0, 0
    )  # effective, permitted, inheritable; low and high words
    held = keep and _libc.capset(header, sets) == 0
    # Ambient capabilities are what an ordinary program of an ordinary account is executed with.
    if (
        not held
        or _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) != 0
    ):
        sys.exit(
            "its files are out of reach for any account but root, which must not run it, and this system allows "
            "neither a user namespace nor CAP_DAC_READ_SEARCH. Run the platform as an ordinary user, move the "
            "data directory to where others may pass, or set FIP_DATABASE_URL and FIP_REDIS_URL."
        )


def main(arguments: list[str]) -> None:
    """Does what the module says, and returns only by failing."""
    parent, death_signal, mode, uid, gid, *command = arguments
    if mode == "account":
        become_account(int(uid), int(gid))
    elif mode == "namespace":
        enter_user_namespace(int(uid), int(gid))
    elif mode == "passer":
        become_passer(int(uid), int(gid))
    # After the change of account, which clears it (prctl(2)).
    if _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the platform ended while its server was being started")
    os.umask(0o077)
    try:
        os.execv(command[0], command)  # noqa: S606 (no shell is the point)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
