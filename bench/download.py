"""How fast files are handed out and results are fetched, and that a resumed download is never corrupt.

`python -m bench.download [--gib 1] [--zip-mib 512]`.

Handing out: curl fetches a stored file by its signed link, and in turns the same bytes from nginx with `sendfile`. Then it is
resumed as clients do it: a range with the right ETag in If-Range gives the rest, with another ETag the whole (the trap: a part of
another file would be glued to what is there), and a broken `curl -C -` goes on.

Fetching: an AES-256 archive on nginx, as a service packs its results, comes through our transport, is decrypted, verified,
hashed and stored; in turns, curl writes it to a file and `7zz x` opens that. Both end with the file unpacked.
"""

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from yarl import URL

from app.adapters.archives import unpack
from app.adapters.transport import Transport
from app.storage import LocalStore
from app.usecases.results import StoreSink
from app.web.server import keep_buffers
from bench import peers
from bench.cohort import sha256, write_cohort
from bench.runner import GIB, MIB, NO_RATE_LIMIT, Memory, Report, interleave, measure, parser, run
from bench.sending import post_file
from tests.e2e.processes import Scene

LINK_BAR, RESULT_BAR, RISE_MIB = 0.9, 0.8, 16.0
PASSWORD = "bench-password"  # noqa: S105 - of a file that is made here
PIECE = 3 * MIB + 17


async def fetch_by_curl(url: str, target: str = os.devnull) -> float:
    """Fetch with curl; give its own time, without its start."""
    process = await asyncio.create_subprocess_exec(
        peers.find_program("curl"), "-sS", "--fail", "-o", target, "-w", "%{time_total}", url,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    seconds = float((await process.communicate())[0])
    assert process.returncode == 0
    return seconds


def get(url: str, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    """Fetch something small (blocks); give status, ETag and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read(PIECE)
    connection.close()
    return answer.status, answer.getheader("ETag", ""), body


def resumes_rightly(url: str, file: Path, folder: Path) -> dict[str, bool]:
    """Resume in the ways of clients (blocks); give what held."""
    size = file.stat().st_size
    with file.open("rb") as content:
        head = content.read(PIECE)
        content.seek(size - PIECE)
        tail = content.read()
    _, etag, _ = get(url, {"Range": "bytes=0-9"})
    rest = {"Range": f"bytes={size - PIECE}-"}
    part = get(url, {**rest, "If-Range": etag})
    trap = get(url, {**rest, "If-Range": '"another"'})
    beyond = get(url, {"Range": f"bytes={size}-"})
    broken = folder / "broken"
    with file.open("rb") as content:
        broken.write_bytes(content.read(size // 3))
    resume = [peers.find_program("curl"), "-sS", "-C", "-", "-o", str(broken), url]
    subprocess.run(resume, check=True)
    resumed = sha256(broken) == sha256(file)
    broken.unlink()
    return {
        "If-Range with its ETag: the rest": part[0] == 206 and part[2] == tail,
        "If-Range with another ETag: the whole": trap[0] == 200 and trap[2] == head,
        "a range beyond the end: 416": beyond[0] == 416,
        "curl -C - ends with the same bytes": resumed,
    }


async def measure_links(
    report: Report, stack: AsyncExitStack, arguments: argparse.Namespace, folder: Path
) -> None:
    """Hand out a stored file beside nginx."""
    file = await write_cohort(folder, arguments.gib)
    scene = await stack.enter_async_context(Scene(folder, dict(NO_RATE_LIMIT), with_sandbox=False))
    await scene.sign_in()
    token = {"Authorization": f"Bearer {scene.client.token}"}
    stored = await asyncio.to_thread(
        post_file, scene.port, "/files/upload", file, field="file", fields={}, headers=token
    )
    assert stored.status == 201, stored.body[:1000]
    path = f"/files/{json.loads(stored.body)['id']}/download"
    link = await scene.client.call("GET", path, headers={"Accept": "application/json"})
    url = scene.base + urlsplit(link["download_url"]).path
    url += f"?{urlsplit(link['download_url']).query}"
    port = await stack.enter_async_context(peers.nginx(folder / "nginx", folder))
    assert scene.server.process is not None
    memory = Memory(scene.server.process.pid)
    contenders = {
        "signed link": lambda: fetch_by_curl(url),
        "nginx sendfile": lambda: fetch_by_curl(f"http://127.0.0.1:{port}/files/{file.name}"),
    }
    await fetch_by_curl(url)
    memory.start()
    taken = await interleave(contenders, report.rounds)
    rise = memory.rise_mib()
    for name, seconds in taken.items():
        report.row(name, seconds, file.stat().st_size)
    report.ratio("signed link to nginx", *taken.values(), LINK_BAR)
    report.bar("memory rises by MiB", rise, at_most=RISE_MIB)
    for what, holds in (await asyncio.to_thread(resumes_rightly, url, file, folder)).items():
        report.check(what, holds=holds)


def pack(seven: str, result: Path, archive: Path, mib: int) -> tuple[int, str]:
    """Make an archive of one result, which is gone then; give its size and digest (blocks)."""
    with result.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))  # compressed genotypes cannot be compressed again
    command = [seven, "a", "-tzip", "-mem=AES256", "-mm=Deflate", "-mx=1", f"-p{PASSWORD}"]
    subprocess.run([*command, str(archive), str(result)], check=True, stdout=subprocess.DEVNULL)
    found = result.stat().st_size, sha256(result)
    result.unlink()
    return found


async def measure_results(
    report: Report, stack: AsyncExitStack, arguments: argparse.Namespace, folder: Path
) -> None:
    """Fetch and open an archive beside curl and 7zz."""
    seven = peers.find_program("7zz")
    place = folder / "service"
    place.mkdir()
    result, archive = place / "chr20.dose.vcf.gz", place / "chr20.zip"
    size, digest = await asyncio.to_thread(pack, seven, result, archive, arguments.zip_mib)
    port = await stack.enter_async_context(peers.nginx(folder / "nginx-results", place))
    url = f"http://127.0.0.1:{port}/files/{archive.name}"
    transport = await stack.enter_async_context(
        Transport(user_agent="bench", allowed_networks=["127.0.0.0/8"])
    )
    store = LocalStore(folder / "store", 1_000_000)

    async def ours() -> float:
        began = time.perf_counter()
        sink = StoreSink(store, 100 * GIB)
        async with transport.stream_get(URL(url), allow_insecure=True) as download:
            await unpack(download.chunks, sink, password=PASSWORD)
        ((_, stored),) = await asyncio.to_thread(sink.commit_all)
        seconds = time.perf_counter() - began
        assert stored.sha256 == digest
        await store.delete(stored.key)
        return seconds

    async def theirs() -> float:
        target, copy = folder / "unpacked", folder / "copy.zip"
        seconds = await fetch_by_curl(url, str(copy))
        began = time.perf_counter()
        command = (seven, "x", "-y", "-bd", f"-p{PASSWORD}", f"-o{target}", str(copy))
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0
        seconds += time.perf_counter() - began
        assert (target / result.name).stat().st_size == size
        (target / result.name).unlink()
        copy.unlink()
        return seconds

    await ours()
    memory = Memory(os.getpid())
    memory.start()
    taken = await interleave({"fetch and decrypt": ours, "curl, then 7zz x": theirs}, report.rounds)
    rise = memory.rise_mib()
    for name, seconds in taken.items():
        report.row(name, seconds, size)
    report.ratio("fetch and decrypt to curl and 7zz", *taken.values(), RESULT_BAR)
    report.bar("memory rises by MiB", rise, at_most=RISE_MIB)


async def main() -> int:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--gib", type=float, default=1.0, help="size of the file that is handed out")
    made.add_argument("--zip-mib", type=int, default=512, help="size of the result")
    arguments = made.parse_args()
    need = int(arguments.gib * 4 * GIB) + arguments.zip_mib * 4 * MIB
    keep_buffers()  # as the platform does

    async def both(report: Report, folder: Path) -> None:
        for part in (measure_links, measure_results):
            async with AsyncExitStack() as stack:
                await part(report, stack, arguments, folder)

    return await measure("download", arguments, need, both)


if __name__ == "__main__":
    run(main)
