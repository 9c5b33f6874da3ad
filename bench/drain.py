"""A server that takes any body and throws it away, so that only the sender is measured. `python -m bench.drain PORT [CERT KEY]`.

It answers with the Content-Length that was announced and the bytes that came; a chunked body it refuses, as many Java servers do.
"""

import json
import socket
import ssl
import sys
import threading

_BUFFER_BYTES = 1024 * 1024


def take(connection: socket.socket) -> None:
    """Answer one request."""
    with connection:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return  # somebody who looked whether the port is open
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        announced = int(fields.get(b"content-length", -1))
        got = len(rest)
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        while got < announced and (size := connection.recv_into(buffer)):
            got += size
        body = json.dumps({"announced": announced, "got": got}).encode()
        status = b"200 OK" if got == announced else b"411 Length Required"
        connection.sendall(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
            % (status, len(body), body)
        )


def main(port: int, certificate: list[str]) -> None:
    """Serve until killed, each connection in a thread."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, context), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    if context is None:
        take(connection)
        return
    try:
        secured = context.wrap_socket(connection, server_side=True)
    except OSError:
        connection.close()  # somebody who looked whether the port is open
    else:
        take(secured)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
