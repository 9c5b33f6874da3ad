"""`python -m app COMMAND`: everything that can be done from a shell. Each command has --help."""

import argparse
import asyncio
import importlib
import sys
from pathlib import Path

import asyncpg

from app.core.errors import AppError
from app.db.migrations import MigrationError
from app.embedded import EmbeddedServerError
from app.logs import configure_logging
from app.security.vault import VaultError
from app.settings import Settings, SettingsError, load_settings

COMMANDS = (
    "serve",
    "accounts",
    "services",
    "sandbox",
    "testdata",
    "e2e",
    "demo",
    "keys",
    "backup",
    "openapi",
)


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="python -m app", description="Federated Imputation Platform"
    )
    root.add_argument("--data-dir", type=Path, help="where everything is kept (default ./data)")
    subparsers = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"app.commands.{name}").register(subparsers)
    for command in subparsers.choices.values():
        # Both «--data-dir D serve» and «serve --data-dir D» work.
        command.add_argument(
            "--data-dir", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return root


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit status. Errors that a person can mend are one line."""
    args = parser().parse_args(arguments)
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
