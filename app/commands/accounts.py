"""`create-admin` and `create-user`: accounts made at the shell."""

import argparse
import getpass
import sys
from pathlib import Path

from app.core.errors import InvalidInput
from app.lifespan import open_platform
from app.settings import Settings
from app.usecases.accounts import Registration, create_user

_LONGEST_LINE = 4096


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    for name, role, what in (
        ("create-admin", "admin", "an administrator"),
        ("create-user", "user", "a user"),
    ):
        parser = subparsers.add_parser(
            name, help=f"make {what}'s account", description=f"Make {what}'s account."
        )
        parser.add_argument("username")
        parser.add_argument("--email", default="", help="address for notices; counts as confirmed")
        parser.add_argument("--full-name")
        password = parser.add_mutually_exclusive_group()
        password.add_argument(
            "--password-file",
            type=Path,
            help="file whose first line is the password («-»: standard input)",
        )
        password.add_argument(
            "--password",
            help="the password itself; it is visible to everybody who lists processes",
        )
        parser.set_defaults(run=create, role=role)


async def create(args: argparse.Namespace, settings: Settings) -> int:
    """Make an account. Without a password option it is asked for, or read from standard input."""
    given = Registration(
        username=args.username,
        password=_password(args),
        email=args.email,
        full_name=args.full_name,
    )
    async with open_platform(settings, work=False, join=True) as platform:
        user = await create_user(platform.deps, given, args.role)
    print(f"Made the account {user.username} (id {user.id}, {user.role})")
    return 0


def _password(args: argparse.Namespace) -> str:
    if args.password is not None:
        return str(args.password)
    if args.password_file is not None and str(args.password_file) != "-":
        with args.password_file.open(encoding="utf-8") as file:
            return str(file.readline(_LONGEST_LINE)).rstrip("\r\n")
    if args.password_file is not None or not sys.stdin.isatty():
        return sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise InvalidInput("The two passwords differ")
    return password
