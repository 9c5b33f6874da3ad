"""How soon the platform answers: with an empty data directory, and with one that it knows.

`python -m bench.start`. From the start of the process `python -m app serve` to the first 200 of `GET /health/ready`: a first start
makes the database cluster and its schema, a later one finds both. Both have their turn in each round; PostgreSQL and Valkey are its
children, files are compiled to bytecode beforehand, and the machine's caches are warm. The environment is that of `make run`
where `make bench` has made it: structlog imports rich wherever a tool of development brought it. The stop is told too.
"""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.runner import NO_RATE_LIMIT, begin, interleave, parser, run, workplace
from tests.e2e.processes import free_port

FIRST_S, LATER_S = 2.0, 0.6
READY = "/health/ready"
PYTHON = Path(__file__).parent.parent / ".venv-run" / "bin" / "python"
PATIENCE_S = 120.0


def is_ready(port: int) -> bool:
    """Ask the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", READY)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cpu_s(pid: int) -> float:
    """Give the CPU seconds that a process has used, its children not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_and_stop(data: Path) -> tuple[float, float, float]:
    """Give the seconds until it is ready, the CPU seconds of that, and how long it then takes to end after SIGTERM (blocks)."""
    port = free_port()
    env = {**os.environ, **NO_RATE_LIMIT, "FIP_DATA_DIR": str(data), "FIP_PORT": str(port)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    process = subprocess.Popen(
        [PYTHON if PYTHON.exists() else sys.executable, "-m", "app", "serve"],
        env=env,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not is_ready(port):
            assert process.poll() is None, "it did not start"
            assert time.perf_counter() - began < PATIENCE_S
            time.sleep(0.005)
        ready, used = time.perf_counter() - began, cpu_s(process.pid)
    finally:
        stopping = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    return ready, used, time.perf_counter() - stopping


async def main() -> int:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    report = begin("start", arguments)
    used: list[float] = []
    stops: list[float] = []
    with workplace(report, arguments.dir, 2 * 1024**3) as folder:

        async def start(data: Path) -> float:
            ready, cpu, stopped = await asyncio.to_thread(start_and_stop, data)
            used.append(cpu)
            stops.append(stopped)
            return ready

        async def first() -> float:
            with tempfile.TemporaryDirectory(dir=folder) as data:
                return await start(Path(data))

        known = folder / "known"
        await start(known)
        taken = await interleave({"first start": first, "later start": lambda: start(known)}, report.rounds)  # fmt: skip
    for name, seconds in taken.items():
        report.row(name, seconds)
    report.row("CPU of the process until then, first or later", used)
    report.row("stop", stops)
    report.bar("first start, seconds", sorted(taken["first start"])[report.rounds // 2], at_most=FIRST_S)  # fmt: skip
    report.bar("later start, seconds", sorted(taken["later start"])[report.rounds // 2], at_most=LATER_S)  # fmt: skip
    return report.finish(arguments.out)


if __name__ == "__main__":
    run(main)
