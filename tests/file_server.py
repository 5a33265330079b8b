"""A real HTTP server on the loopback: serves a file as badly as asked."""

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator

Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each request as the script says, and then as a good server."""

    server: "FileServer"

    def do_GET(self):
        self.server.paths.append(self.path)
        self.server.ranges.append(self.headers["Range"])
        script = self.server.script
        with contextlib.suppress(ConnectionError):
            (script.pop(0) if script else send_range)(self)

    def log_message(self, *_):
        pass

    def begin(self, start=0, status=None):
        total = len(self.server.body)
        self.send_response(status or (206 if start else 200))
        self.send_header("Content-Length", str(total - start))
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{total - 1}/{total}"
            )
        self.end_headers()
        return self.server.body[start:]

    @property
    def start(self):
        asked = self.headers["Range"] or "bytes=0-"
        return int(asked.removeprefix("bytes=").removesuffix("-"))


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `body` under every path.

    Args:
        body: Bytes of the file.
        script: Answers to the first requests, one each.
    """

    def __init__(self, body: bytes, script: list[Answer]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.script = list(script)
        self.paths: list[str] = []
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serve(body: bytes, *script: Answer) -> Iterator[FileServer]:
    with FileServer(body, list(script)) as server:
        # The default interval of 0.5 s is what `shutdown` would wait.
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server
        finally:
            server.shutdown()


def send_range(handler: Handler) -> None:
    """Answers as a server should."""
    if handler.start >= len(handler.server.body):
        handler.send_response(416)
        total = len(handler.server.body)
        handler.send_header("Content-Range", f"bytes */{total}")
        handler.end_headers()
    else:
        handler.wfile.write(handler.begin(handler.start))


def send_all(handler: Handler) -> None:
    """Knows nothing of ranges."""
    handler.wfile.write(handler.begin())


def cut_after(num_bytes: int) -> Answer:
    """Closes the connection after so many bytes of the body."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin(handler.start)[:num_bytes])

    return answer


def send_status(status: int) -> Answer:
    def answer(handler: Handler) -> None:
        handler.begin(status=status)

    return answer


def trickle(handler: Handler) -> None:
    """Sends a byte every 20 ms until the other side has had enough."""
    for byte in handler.begin(handler.start):
        handler.wfile.write(bytes([byte]))
        time.sleep(0.02)


def wait_for(event: threading.Event) -> Answer:
    """Holds the body back until the event."""

    def answer(handler: Handler) -> None:
        body = handler.begin(handler.start)
        handler.wfile.flush()
        event.wait(timeout=30)
        handler.wfile.write(body)

    return answer
