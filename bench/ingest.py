"""How fast a genotype file is received, what that costs in memory, and whether others notice.

`python -m bench.ingest [--gib 1,4]`. In turns, the same form with one bgzipped VCF goes to:

- ours: the receiving of `POST /jobs` (SHA-256, CRC-32, first and last block judged, durable on the disk): `bench.receiver`;
- FastAPI's `UploadFile` with the same promises: `bench.fastapi_upload`;
- nginx, which only writes the body to a file (`client_body_in_file_only`, a buffer of 1 MiB);
- the platform whole, `POST /jobs` answered with 201: all that, and the structure check of every line of the file.

Then, once more to the platform, how far the memory of its process rises, and how long `GET /jobs/{id}` takes meanwhile.
"""

import argparse
import asyncio
import http.client
import json
import operator
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from bench import peers
from bench.cohort import sha256, write_cohort
from bench.runner import GIB, NO_RATE_LIMIT, Memory, Report, interleave, measure, parser, run, share
from bench.sending import Answer, post_file
from tests.e2e.processes import Scene, free_port

FASTAPI_BAR, NGINX_BAR = 2.0, 0.35
RISE_MIB, P99_MS = 16.0, 10.0
LEAST_LOOKS = 200


class Target:
    """Where the form goes."""

    def __init__(self, port: int, path: str, fields: dict[str, str], token: str = "") -> None:
        self.port = port
        self._path = path
        self._fields = fields
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def post(self, file: Path) -> Answer:
        """Send the form (blocks)."""
        answer = post_file(
            self.port,
            self._path,
            file,
            field="input_file",
            fields=self._fields,
            headers=self._headers,
        )
        assert answer.status in {200, 201}, answer.body[:1000]
        return answer

    def call(self, method: str, path: str) -> Any:
        """Make a call that has no body; give the answer's (blocks)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(method, path, headers=self._headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status < 300, (method, path, body)
        connection.close()
        return json.loads(body) if body else None

    def look(self, path: str, stop: threading.Event) -> list[float]:
        """Ask again and again until told to stop; give the milliseconds of each answer (blocks)."""
        taken: list[float] = []
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while not stop.is_set():
            began = time.perf_counter()
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            taken.append((time.perf_counter() - began) * 1000)
            assert answer.status == 200
            time.sleep(0.002)
        connection.close()
        return taken


class Bench:
    """The servers, and a file to send."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._file = Path()
        self._digest = ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        folder, stack = self._folder, self._stack
        self.scene = await stack.enter_async_context(Scene(folder, dict(NO_RATE_LIMIT)))
        # Nothing is passed on to the remote meanwhile: that is measured by bench.relay.
        service, panel = await self.scene.set_up_service()
        await self.scene.server.stop()
        self.scene.server.arguments.append("--no-worker")
        await self.scene.server.start()
        fields = {"service_id": str(service), "reference_panel_id": str(panel), "build": "hg19"}
        self.ours = Target(self.scene.port, "/jobs", fields, self.scene.client.token)
        port, place = free_port(), str(folder / "receiver")
        receiver = [sys.executable, "-m", "bench.receiver", place, str(port)]
        await stack.enter_async_context(peers.running(receiver, port))
        self.receiver = Target(port, "/jobs", fields)
        apart = folder / "fastapi"
        env = {"BENCH_FOLDER": str(apart)}
        port = await stack.enter_async_context(peers.fastapi("fastapi_upload", apart, env))
        self.fastapi = Target(port, "/jobs", fields)
        self._bodies = folder / "nginx" / "bodies"
        port = await stack.enter_async_context(peers.nginx(folder / "nginx", folder))
        self.nginx = Target(port, "/upload", fields)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _timed(self, target: Target, clean: Callable[[Answer], None]) -> float:
        answer = await asyncio.to_thread(target.post, self._file)
        await asyncio.to_thread(clean, answer)
        return answer.seconds

    def _same(self, answer: Answer) -> None:
        assert json.loads(answer.body)["sha256"] == self._digest

    def _clean_fastapi(self, answer: Answer) -> None:
        self._same(answer)
        (self._folder / "fastapi" / "received").unlink()

    def _clean_nginx(self, _answer: Answer) -> None:
        for body in self._bodies.iterdir():
            assert body.stat().st_size > self._file.stat().st_size
            body.unlink()

    def _cancel(self, answer: Answer) -> None:
        job = json.loads(answer.body)["id"]
        self.ours.call("POST", f"/jobs/{job}/cancel")
        self.ours.call("DELETE", f"/jobs/{job}")

    def _clean_ours(self, answer: Answer) -> None:
        self._cancel(answer)
        for file in self.ours.call("GET", "/files?kind=input"):
            self.ours.call("DELETE", f"/files/{file['id']}")

    async def compare(self, gib: float) -> None:
        """Let all have their turns with a file of this size."""
        self._file = await write_cohort(self._folder, gib)
        self._digest = await asyncio.to_thread(sha256, self._file)
        size, report = self._file.stat().st_size, self._report
        contenders = {
            "ours, receiving": lambda: self._timed(self.receiver, self._same),
            "FastAPI UploadFile": lambda: self._timed(self.fastapi, self._clean_fastapi),
            "nginx, body to file": lambda: self._timed(self.nginx, self._clean_nginx),
            "ours, POST /jobs with the structure check": lambda: self._timed(
                self.ours, self._clean_ours
            ),
        }
        taken = await interleave(contenders, report.rounds)
        for name, seconds in taken.items():
            report.row(f"{gib:g} GiB: {name}", seconds, size)
        receiving, fastapi, nginx, whole = taken.values()
        report.ratio(f"{gib:g} GiB: receiving to FastAPI", receiving, fastapi, FASTAPI_BAR)
        report.ratio(f"{gib:g} GiB: receiving to nginx", receiving, nginx, NGINX_BAR)
        told = statistics.median(map(operator.truediv, fastapi, whole))
        report.note(
            f"{gib:g} GiB: POST /jobs whole is {told:.2f} times as fast as FastAPI, which checks no structure"
        )
        await self._watch(gib)

    async def _watch(self, gib: float) -> None:
        """Look at memory and at the answers of another call while files come in."""
        process = self.scene.server.process
        assert process is not None
        answer = await asyncio.to_thread(self.ours.post, self._file)
        memory = Memory(process.pid)
        memory.start()
        looks: list[float] = []
        path = f"/jobs/{json.loads(answer.body)['id']}"
        stop = threading.Event()
        asyncio.get_running_loop().call_later(1.5, stop.set)
        quiet = await asyncio.to_thread(self.ours.look, path, stop)
        while len(looks) < LEAST_LOOKS:
            stop = threading.Event()
            looking = asyncio.create_task(asyncio.to_thread(self.ours.look, path, stop))
            another = await asyncio.to_thread(self.ours.post, self._file)
            stop.set()
            looks += await looking
            self._cancel(another)
        rise = memory.rise_mib()
        await asyncio.to_thread(self._clean_ours, answer)
        self._report.note(
            f"GET /jobs/{{id}} when nothing is uploaded: {share(quiet, 0.99):.1f} ms at p99"
        )
        self._report.bar(f"{gib:g} GiB: memory rises by MiB", rise, at_most=RISE_MIB)
        self._report.bar(f"{gib:g} GiB: GET /jobs/{{id}} meanwhile, ms at p99", share(looks, 0.99), at_most=P99_MS)  # fmt: skip


async def main() -> int:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--gib", default="1,4", help="sizes of the file, separated by commas")
    arguments: argparse.Namespace = made.parse_args()
    sizes = [float(size) for size in arguments.gib.split(",")]

    async def each(report: Report, folder: Path) -> None:
        async with Bench(folder, report) as bench:
            for gib in sizes:
                await bench.compare(gib)

    return await measure("ingest", arguments, int(max(sizes) * 5 * GIB), each)


if __name__ == "__main__":
    run(main)
