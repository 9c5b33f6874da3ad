"""The peers as processes of their own: Debian's nginx, and FastAPI under uvicorn from the environment that the Makefile makes."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.processes import free_port

PYTHON = Path(__file__).parent.parent / ".venv-bench" / "bin" / "python"
READY_S = 30.0

_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ }}
http {{
    access_log off; client_max_body_size 0; default_type application/octet-stream; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /files/ {{ alias {files}/; }}
        location /taken {{ return 200; }}
        location /upload {{
            client_body_in_file_only on; client_body_buffer_size 1m;
            proxy_pass http://127.0.0.1:{port}/taken; proxy_pass_request_body off; proxy_set_header Content-Length "";
        }}
    }}
}}
"""


class MissingPeerError(Exception):
    """Raised when a peer is not installed; says how to get it."""


def find_program(name: str) -> str:
    """Give its path. Raises MissingPeerError."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise MissingPeerError(f"{name} is not installed: make bench does that, as root")
    return found


@asynccontextmanager
async def running(
    arguments: list[str], port: int, env: Mapping[str, str] | None = None
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a server until the end; give it when it accepts connections."""
    process = subprocess.Popen(arguments, env={**os.environ, **(env or {})})
    try:
        await _until_open(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@asynccontextmanager
async def nginx(folder: Path, files: Path) -> AsyncIterator[int]:
    """Run nginx: POST /upload writes the body to a file in `folder`/bodies, GET /files/NAME is sent from `files`. Gives the port."""
    port = free_port()
    folder.mkdir()
    (folder / "bodies").mkdir()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, files=files, port=port))
    async with running([find_program("nginx"), "-p", str(folder), "-c", str(config)], port):
        yield port


@asynccontextmanager
async def fastapi(module: str, folder: Path, env: Mapping[str, str]) -> AsyncIterator[int]:
    """Run a FastAPI application of this folder; its temporary files go into `folder`. Gives the port."""
    if not PYTHON.exists():
        raise MissingPeerError("There is no .venv-bench: make bench makes it")
    port = free_port()
    folder.mkdir()
    server = [str(PYTHON), "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port)]
    arguments = [*server, "--no-access-log", "--log-level", "warning", f"{module}:app"]
    here = {"PYTHONPATH": str(Path(__file__).parent), "TMPDIR": str(folder)}
    async with running(arguments, port, {**here, **env}):
        yield port
