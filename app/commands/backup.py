"""`backup` and `restore`: the database, the files, and the secrets, in one tar archive.

The database is dumped first: files that arrive later are then simply not known to it. Nothing is read into memory whole.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from app.core.errors import Conflict, InvalidInput
from app.embedded import EmbeddedServerError, tool
from app.servers import open_servers
from app.settings import Settings

DUMP = "database.dump"
PARTS = ("files", "secrets")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    backup_parser = subparsers.add_parser(
        "backup", help="write everything into one archive", description=backup.__doc__
    )
    backup_parser.add_argument(
        "archive", type=Path, help="the tar file to write; it must not exist"
    )
    backup_parser.add_argument(
        "--without-secrets",
        action="store_true",
        help="leave the keys out; without them stored credentials cannot be opened again",
    )
    backup_parser.set_defaults(run=backup)
    restore_parser = subparsers.add_parser(
        "restore", help="bring everything back from an archive", description=restore.__doc__
    )
    restore_parser.add_argument("archive", type=Path, help="a tar file that «backup» wrote")
    restore_parser.set_defaults(run=restore)


async def backup(args: argparse.Namespace, settings: Settings) -> int:
    """Write database, files and secrets into one tar archive (mode 0600). The platform may run meanwhile."""
    if args.archive.exists():
        raise Conflict(f"{args.archive} exists already", action="Choose another name")
    partial = args.archive.with_name(f".{args.archive.name}.part")
    try:
        with tempfile.TemporaryDirectory(prefix="fip-backup-", dir=args.archive.parent) as folder:
            dump = Path(folder) / DUMP
            async with open_servers(settings, join=True) as servers:
                await _run(
                    "pg_dump",
                    "--format=custom",
                    "--no-owner",
                    f"--file={dump}",
                    servers.database_url,
                )
            parts = PARTS[:1] if args.without_secrets else PARTS
            await asyncio.to_thread(_pack, partial, dump, settings.data_dir, parts)
        partial.replace(args.archive)
    finally:
        partial.unlink(missing_ok=True)
    print(f"{args.archive}: {args.archive.stat().st_size} bytes")
    if not args.without_secrets:
        print("It holds the keys of all stored credentials: keep it as safe as them.")
    return 0


def _pack(archive: Path, dump: Path, data_dir: Path, parts: tuple[str, ...]) -> None:
    descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w|") as tar:
        tar.add(dump, DUMP)
        for part in parts:
            root = data_dir / part
            for path in sorted(root.rglob("*")) if root.is_dir() else ():
                if path.is_file() and "tmp" not in path.relative_to(root).parts[:1]:
                    try:
                        tar.add(path, str(Path(part) / path.relative_to(root)), recursive=False)
                    except FileNotFoundError:
                        continue  # deleted since it was listed
        raw.flush()
    with archive.open("rb") as written:
        os.fsync(written.fileno())


async def restore(args: argparse.Namespace, settings: Settings) -> int:
    """Bring back what «backup» wrote, into an empty data directory (and an empty database, if one is set)."""
    if settings.data_dir.exists() and any(settings.data_dir.iterdir()):
        raise Conflict(f"{settings.data_dir} is not empty", action="Restore into an empty one")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    staging = settings.data_dir / "restoring"
    try:
        await asyncio.to_thread(_unpack, args.archive, staging)
        async with open_servers(settings) as servers:
            await _run(
                "pg_restore",
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                f"--dbname={servers.database_url}",
                str(staging / DUMP),
            )
        for part in PARTS:
            if (staging / part).is_dir():
                (staging / part).replace(settings.data_dir / part)
        if (secrets := settings.data_dir / "secrets").is_dir():
            secrets.chmod(0o700)
    finally:
        await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)
    print(
        f"Restored into {settings.data_dir}. Start it with: python -m app serve --data-dir {settings.data_dir}"
    )
    return 0


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r|") as tar:
            for member in tar:
                _extract(tar, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"{archive} is not a whole backup: {error}") from None
    if not (folder / DUMP).is_file():
        raise InvalidInput(f"{archive} holds no database dump")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one member where it belongs. Raises InvalidInput for what «backup» never writes: links, other places.

    By hand, since the extraction filters of tarfile are younger than Debian's Python 3.11.2.
    """
    place = PurePosixPath(member.name)
    known = place == PurePosixPath(DUMP) or place.parts[0] in PARTS
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or not known or place.is_absolute() or ".." in place.parts:
        raise InvalidInput("The archive holds something that a backup does not: it is not used")
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        source,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
    ):
        shutil.copyfileobj(source, out, 1024 * 1024)


async def _run(program: str, *arguments: str) -> None:
    """Run a PostgreSQL program. Raises EmbeddedServerError with its last words."""
    process = await asyncio.create_subprocess_exec(
        tool(program),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise EmbeddedServerError(
            f"{program} failed: {said.decode(errors='replace').strip()[-500:]}"
        )
