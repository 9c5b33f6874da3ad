"""Where something may be left for somebody to read, and the ways in which a secret could be spelt there."""

import base64
import binascii
import email
import json
from pathlib import Path
from urllib.parse import quote

import asyncpg
import redis.asyncio


def mails(outbox: Path) -> list[str]:
    """Give the text of every e-mail."""
    found = []
    for path in sorted(outbox.glob("*.eml")):
        message = email.message_from_bytes(path.read_bytes())
        parts = [
            part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()
        ]
        texts = [part.decode() for part in parts if isinstance(part, bytes)]
        found.append("\n".join([str(message.items()), *texts]))
    return found


async def tables(pool: asyncpg.Pool) -> dict[str, str]:
    """Give every row of every table as text; bytes as such and as what they spell."""
    names = await pool.fetch("select tablename from pg_tables where schemaname = 'public'")
    dump = {}
    for name in sorted(row["tablename"] for row in names):
        parts = []
        for row in await pool.fetch(f"select * from {name}"):
            parts.append(str(dict(row)))
            parts += [value.decode("latin-1") for value in row.values() if isinstance(value, bytes)]
        dump[f"table {name}"] = "\n".join(parts)
    assert {
        "table users",
        "table outbox",
        "table imputation_jobs",
        "table audit_logs",
    } <= dump.keys()
    return dump


async def queue(redis_url: str) -> str:
    """Give everything that the queue holds."""
    parts = []
    async with redis.asyncio.Redis.from_url(redis_url) as connection:
        async for key in connection.scan_iter():
            parts += [str(key), str(await connection.dump(key))]
    return "\n".join(parts)


def files(root: Path) -> dict[str, str]:
    """Give every file of the data directory, aside from the keys themselves and the e-mails."""
    return {
        f"file {path.relative_to(root)}": path.read_bytes().decode("latin-1")
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in ("secrets", "outbox")
    }


def spellings(secret: str) -> set[str]:
    """Give the ways in which a secret could stand somewhere."""
    raw = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        binascii.hexlify(raw).decode(),
        *([secret.split(".")[2]] if secret.count(".") == 2 and secret.startswith("eyJ") else []),
    }
