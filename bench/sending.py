"""A client that costs next to nothing: one POST of a form with a file, which the kernel sends from the page cache."""

import os
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BOUNDARY = "----bench-7d1f0c3b9a2e4f60"
_ANSWER_S = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how long that took from the first byte sent; `sent_s` is when the last one had gone out."""

    status: int
    body: bytes
    seconds: float
    sent_s: float


def post_file(
    port: int,
    target: str,
    file: Path,
    *,
    field: str,
    fields: Mapping[str, str],
    headers: Mapping[str, str],
) -> Answer:
    """Send the form (blocks)."""
    parts = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    parts += (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{file.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
    size = file.stat().st_size
    head = (
        f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(parts) + size + len(tail)}\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        + "\r\n"
    )
    with (
        file.open("rb") as source,
        socket.create_connection(("127.0.0.1", port), _ANSWER_S) as connection,
    ):
        began = time.perf_counter()
        connection.sendall((head + parts).encode())
        _send_all(connection, source.fileno(), size)
        connection.sendall(tail)
        sent = time.perf_counter() - began
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        seconds = time.perf_counter() - began
    start, _, body = answer.partition(b"\r\n\r\n")
    return Answer(int(start.split(b" ", 2)[1]), body, seconds, sent)


def _send_all(connection: socket.socket, source: int, size: int) -> None:
    sent = 0
    while sent < size:
        try:
            sent += os.sendfile(connection.fileno(), source, sent, min(size - sent, 1 << 24))
        except BlockingIOError:  # a socket with a timeout does not block
            select.select([], [connection], [], _ANSWER_S)
