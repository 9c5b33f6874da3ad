"""`python -m app COMMAND`: everything that can be done from a shell. Each command has --help."""

import argparse
import asyncio
import gc
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from app.core.errors import AppError
from app.db.migrations import MigrationError
from app.embedded import EmbeddedServerError
from app.logs import configure_logging
from app.security.vault import VaultError
from app.settings import Settings, SettingsError, load_settings

COMMANDS = {
    "serve": "serve",
    "worker": "serve",
    "migrate": "serve",
    "create-admin": "accounts",
    "create-user": "accounts",
    "service": "services",
    "sandbox": "sandbox",
    "testdata": "testdata",
    "e2e": "e2e",
    "demo": "demo",
    "rotate-keys": "keys",
    "backup": "backup",
    "restore": "backup",
    "openapi": "openapi",
}
"""The module in `app.commands` that has each. The one that is called is imported alone: all of them take half a second."""


def parser(arguments: Iterable[str] = ()) -> argparse.ArgumentParser:
    """Build the parser: of the command that the arguments name, else of all."""
    root = argparse.ArgumentParser(
        prog="python -m app", description="Federated Imputation Platform"
    )
    root.add_argument("--data-dir", type=Path, help="where everything is kept (default ./data)")
    subparsers = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = [word for word in arguments if word in COMMANDS]
    for name in dict.fromkeys(COMMANDS[word] for word in named or COMMANDS):
        importlib.import_module(f"app.commands.{name}").register(subparsers)
    for command in subparsers.choices.values():
        # Both «--data-dir D serve» and «serve --data-dir D» work.
        command.add_argument(
            "--data-dir", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return root


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit status. Errors that a person can mend are one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # What is imported stays: looking through it again and again is an eighth of the start, and a pause later on.
    gc.disable()
    args = parser(arguments).parse_args(arguments)
    gc.freeze()
    gc.enable()
    try:
        settings = load_settings(
            data_dir=args.data_dir,
            port=getattr(args, "port", None),
            host=getattr(args, "host", None),
        )
        configure_logging(settings.log_format, settings.log_level)
        return asyncio.run(_run(args, settings))
    except KeyboardInterrupt:
        return 130
    except (SettingsError, MigrationError, EmbeddedServerError, VaultError) as error:
        return _fail(str(error))
    except AppError as error:
        return _fail(f"{error.message}. {error.action}" if error.action else error.message)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return _fail(f"{type(error).__name__}: {error}")


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    status = await args.run(args, settings)
    return int(status)


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
