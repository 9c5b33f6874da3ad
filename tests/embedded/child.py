"""A process that runs both servers until it is killed: `python -m tests.embedded.child DIR`.

It prints one line of JSON (urls and pids) when they answer.
"""

import asyncio
import json
import sys
from pathlib import Path

from app.embedded import DataDirLock, EmbeddedPostgres, EmbeddedValkey


async def run(root: Path) -> None:
    with DataDirLock(root):
        postgres, valkey = EmbeddedPostgres(root / "postgres"), EmbeddedValkey(root / "valkey")
        async with postgres, valkey:
            facts = {
                "postgres": [postgres.url, postgres.pid],
                "valkey": [valkey.url, valkey.pid],
            }
            print(json.dumps(facts), flush=True)  # noqa: T201 (how it talks to the test)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
