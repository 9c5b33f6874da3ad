"""How much memory the server needs while a large file is uploaded to it and passed on to the remote.

`python -m bench.memory [MIB]` starts a server and a sandbox (instant engine), sends one VCF of so many MiB (default 1024, stored
BGZF blocks, so that the bytes on the wire are that many), and prints the server's resident memory before, at its peak, and after.
Its children (PostgreSQL, Valkey, the process that checks genotypes) are not counted. Linux only: it reads /proc.
"""

import asyncio
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import aiohttp

from tests.e2e.processes import Scene

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
SAMPLES = 1000
MIB = 1024 * 1024


def _block(data: bytes) -> bytes:
    """One BGZF block that stores its data (SAM specification §4.1)."""
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25)
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


def write_vcf(path: Path, mib: int) -> None:
    """Write a valid, sorted VCF of chromosome 20 that is about `mib` MiB large."""
    names = "\t".join(f"S{n:04d}" for n in range(SAMPLES))
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
    head = f"##fileformat=VCFv4.2\n##contig=<ID=20,length=63025520>\n{columns}{names}\n"
    genotypes = "\tGT" + "\t0/1" * (SAMPLES // 2) + "\t0/0" * (SAMPLES - SAMPLES // 2) + "\n"
    buffer, position = head.encode(), 60_000
    with path.open("wb") as file:
        while file.tell() < mib * MIB:
            while len(buffer) < 65_000:
                position += 10
                buffer += f"20\t{position}\t.\tA\tG\t.\tPASS\t.{genotypes}".encode()
            file.write(_block(buffer[:65_000]))
            buffer = buffer[65_000:]
        file.write(_block(buffer) + EOF_BLOCK)


def memory_kib(pid: int, field: str) -> int:
    """Read a figure of /proc/PID/status."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))


async def run(mib: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="fip-bench-") as folder:
        file = Path(folder) / "large.vcf.gz"
        await asyncio.to_thread(write_vcf, file, mib)
        size = file.stat().st_size
        settings = {"FIP_POLL_INTERVAL_S": "0.5", "FIP_LOG_LEVEL": "warning"}
        async with Scene(Path(folder), settings) as scene:
            assert scene.server.process is not None
            pid = scene.server.process.pid
            ids = await scene.set_up_service()
            tiny = Path(folder) / "tiny.vcf.gz"
            await asyncio.to_thread(write_vcf, tiny, 1)
            warm = await scene.client.submit(*ids, tiny)
            await _until(scene, warm["id"])
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
            before = memory_kib(pid, "VmRSS")
            form = aiohttp.FormData()
            fields = {"service_id": ids[0], "reference_panel_id": ids[1], "build": "hg19"}
            for name, value in fields.items():
                form.add_field(name, str(value))
            began = time.monotonic()
            with file.open("rb") as body:
                form.add_field("input_file", body, filename=file.name)
                timeout = aiohttp.ClientTimeout(total=600)
                headers = {"Authorization": f"Bearer {scene.client.token}"}
                url = f"{scene.base}/jobs"
                async with scene.client.session.post(
                    url, data=form, headers=headers, timeout=timeout
                ) as answer:
                    assert answer.status == 201, await answer.text()
                    job = await answer.json()
            uploaded = time.monotonic() - began
            peak_upload = memory_kib(pid, "VmHWM")
            await _until(scene, job["id"])
            passed_on = time.monotonic() - began - uploaded
            peak = memory_kib(pid, "VmHWM")
            print(f"file            {size / MIB:8.0f} MiB")
            print(f"before          {before / 1024:8.1f} MiB")
            print(
                f"peak, upload    {(peak_upload - before) / 1024:+8.1f} MiB   {uploaded:.1f} s with the structure check"
            )
            print(
                f"peak, whole way {(peak - before) / 1024:+8.1f} MiB   {passed_on:.1f} s until accepted by the remote"
            )


async def _until(scene: Scene, job_id: str) -> None:
    """Wait until the remote has the job."""
    async with asyncio.timeout(300):
        while (await scene.client.call("GET", f"/jobs/{job_id}"))["external_job_id"] is None:
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1024))
