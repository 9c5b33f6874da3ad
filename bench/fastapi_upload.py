"""The peer of `bench.ingest`: what FastAPI's documentation shows for uploads, and the same promises as ours.

It runs in an environment of its own, so it imports nothing of the platform. The handler is a plain `def`, which Starlette runs in a
thread: the quicker of the two documented ways, and the one that leaves the event loop free.
"""

import hashlib
import os
import zlib
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, UploadFile

FOLDER = Path(os.environ["BENCH_FOLDER"])
EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
app = FastAPI()


@app.post("/jobs", status_code=201)
def submit(input_file: UploadFile, service_id: Annotated[int, Form()]) -> dict[str, object]:
    """Store the file durably: hashed, its first block and its end looked at."""
    digest, size, end = hashlib.sha256(), 0, b""
    path = FOLDER / "received"
    with path.open("wb") as file:
        while chunk := input_file.file.read(1024 * 1024):
            if size == 0:
                judge(chunk[:65536])
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            end = (end + chunk[-len(EOF_BLOCK) :])[-len(EOF_BLOCK) :]
        file.flush()
        os.fsync(file.fileno())
    if end != EOF_BLOCK:
        raise HTTPException(400, "cut off")
    return {"service_id": service_id, "size_bytes": size, "sha256": digest.hexdigest()}


def judge(head: bytes) -> None:
    """Refuse what does not begin as a bgzipped VCF does."""
    if head[:4] != b"\x1f\x8b\x08\x04" or head[12:14] != b"BC":
        raise HTTPException(400, "not bgzip")
    if not zlib.decompressobj(wbits=31).decompress(head, 65536).startswith(b"##fileformat=VCF"):
        raise HTTPException(400, "not a VCF")
