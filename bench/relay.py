"""How fast a stored file is passed on to a remote service, beside `curl -F`.

`python -m bench.relay [--gib 1]`. In turns, the adapters' own transport and body (`app.adapters.transport`, `app.adapters.payload`)
and curl send the same form with the same file to a server that throws it away (`bench.drain`): by plain HTTP and by TLS. The
time of curl is its own `time_total`, without its start; it is told not to wait for `100 Continue`.
"""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from yarl import URL

from app.adapters.payload import FilePart, MultipartUpload
from app.adapters.transport import Transport
from bench import peers
from bench.memory import write_vcf
from bench.runner import GIB, MIB, Memory, begin, interleave, parser, run, workplace
from tests.e2e.processes import free_port

PLAIN_BAR, TLS_BAR, RISE_MIB = 1.2, 0.8, 16.0
FIELDS = {"job-name": "cohort", "refpanel": "1000g-phase-3-v5", "build": "hg38", "phasing": "eagle"}


def make_certificate(folder: Path) -> tuple[str, str]:
    """Make a certificate for 127.0.0.1 (blocks); give the files of it and its key."""
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    program = [peers.find_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate, "-days", "2"]
    subprocess.run([*program, *files, *name], check=True, capture_output=True)
    return certificate, key


def check(answer: Mapping[str, int], file: Path) -> None:
    """See that all arrived under an announced length."""
    assert answer["announced"] == answer["got"] > file.stat().st_size, answer


async def send_ours(transport: Transport, url: str, file: Path) -> float:
    """Send it as an adapter does."""
    part = FilePart("files", file.name, file, file.stat().st_size)
    began = time.perf_counter()
    body = MultipartUpload(list(FIELDS.items()), [part])
    answer = await transport.upload(URL(url), body, allow_insecure=True)
    seconds = time.perf_counter() - began
    check(json.loads(answer.body), file)
    return seconds


async def send_by_curl(url: str, file: Path, certificate: str) -> float:
    """Send it with curl."""
    fields = [word for name, value in FIELDS.items() for word in ("-F", f"{name}={value}")]
    arguments = ["-sS", "-H", "Expect:", *fields, "-F", f"files=@{file}", "--cacert", certificate]
    process = await asyncio.create_subprocess_exec(
        peers.find_program("curl"), *arguments, "-w", "\n%{time_total}", url,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, seconds = (await process.communicate())[0].decode().rsplit("\n", 1)
    check(json.loads(answer), file)
    return float(seconds)


async def main() -> int:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--gib", type=float, default=1.0, help="size of the file")
    arguments = made.parse_args()
    report = begin("relay", arguments)
    async with AsyncExitStack() as stack:
        need = int(arguments.gib * 2 * GIB)
        folder = stack.enter_context(workplace(report, arguments.dir, need))
        file = folder / "cohort.chr20.vcf.gz"
        await asyncio.to_thread(write_vcf, file, int(arguments.gib * GIB / MIB))
        certificate, key = await asyncio.to_thread(make_certificate, folder)
        context = ssl.create_default_context(cafile=certificate)
        transport = await stack.enter_async_context(
            Transport(user_agent="bench", allowed_networks=["127.0.0.0/8"], ssl_context=context)
        )
        drain = [sys.executable, "-m", "bench.drain"]
        plain, secure = free_port(), free_port()
        await stack.enter_async_context(peers.running([*drain, str(plain)], plain))
        secured = [*drain, str(secure), certificate, key]
        await stack.enter_async_context(peers.running(secured, secure))
        urls = {"plain": f"http://127.0.0.1:{plain}/", "TLS": f"https://127.0.0.1:{secure}/"}
        contenders = {}
        for kind, url in urls.items():
            contenders[f"{kind}: ours"] = lambda url=url: send_ours(transport, url, file)
            contenders[f"{kind}: curl -F"] = lambda url=url: send_by_curl(url, file, certificate)
        memory = Memory(os.getpid())
        for url in urls.values():
            await send_ours(transport, url, file)
        memory.start()
        taken = await interleave(contenders, report.rounds)
        rise = memory.rise_mib()
        for name, seconds in taken.items():
            report.row(name, seconds, file.stat().st_size)
    report.ratio("plain, to curl -F", taken["plain: ours"], taken["plain: curl -F"], PLAIN_BAR)
    report.ratio("TLS, to curl -F", taken["TLS: ours"], taken["TLS: curl -F"], TLS_BAR)
    report.check("each body had its exact Content-Length", holds=True)  # or `check` had raised
    report.bar("memory rises by MiB", rise, at_most=RISE_MIB)
    return report.finish(arguments.out)


if __name__ == "__main__":
    run(main)
