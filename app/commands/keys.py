"""`rotate-keys`: a new key for the secrets at rest, and everything sealed anew under it."""

import argparse
import sys
from datetime import UTC, datetime

from app.lifespan import open_database
from app.security.files import ensure_secrets, write_secret
from app.security.vault import Vault, new_key, parse_keys
from app.servers import open_servers
from app.settings import Settings
from app.usecases.keys import rotate


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "rotate-keys", help="encrypt the stored secrets anew", description=rotate_keys.__doc__
    )
    parser.set_defaults(run=rotate_keys)


async def rotate_keys(_args: argparse.Namespace, settings: Settings) -> int:
    """Seal all stored secrets under the newest key.

    Keys set by FIP_CREDENTIAL_KEYS: put the new key first, restart every process, then run this; the old one can
    go afterwards. Keys kept in the data directory: stop the platform, run this; it makes the new key and drops the old ones.
    """
    by_file = not settings.credential_keys
    settings = ensure_secrets(settings)
    keys = parse_keys(settings.credential_keys)
    path = settings.data_dir / "secrets" / "credential_keys"
    # A platform that runs has read its keys already and would not know a new one: so not beside it (no `join`).
    async with open_servers(settings, join=not by_file) as servers:
        if by_file:
            name = f"k{datetime.now(UTC):%Y%m%d%H%M%S}"
            newest = f"{name}:{new_key()}"
            write_secret(path, f"{newest},{settings.credential_keys}", replace_existing=True)
            keys = parse_keys(newest) | keys
        async with open_database(servers, settings) as pool:
            results = await rotate(pool, Vault(keys))
        lost = sum(item.unreadable for item in results)
        if by_file and not lost:
            write_secret(path, newest, replace_existing=True)
    for item in results:
        print(f"{item.name}: {item.moved} sealed anew")
    if lost:
        print(
            f"error: {lost} secrets open with none of the keys; nothing of them was changed",
            file=sys.stderr,
        )
    return 1 if lost else 0
