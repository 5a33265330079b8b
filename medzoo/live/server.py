"""A server of one page and its state, for the browser of this machine alone."""

import base64
import hashlib
import html
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from medzoo.messages import encode_text

HOST = "127.0.0.1"
# Names by which a browser reaches it. A page of another site that has its own
# name point here (DNS rebinding) sends that name.
_NAMES = (HOST, "localhost")
# Seconds without a word after which a connection is closed.
_TIMEOUT = 10
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; script-src {}"
)


class Content(NamedTuple):
    """What the server answers with.

    Args:
        kind: Of the content, such as `text/html`.
        body: The content.
        policy: Which of its scripts a browser runs.
    """

    kind: str
    body: bytes
    policy: str = _POLICY.format("'none'")

    @classmethod
    def of_page(cls, text: str) -> "Content":
        """Returns a page whose scripts are those of its template alone."""
        scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digests = [hashlib.sha256(s.encode()).digest() for s in scripts]
        hashes = [f"'sha256-{base64.b64encode(d).decode()}'" for d in digests]
        policy = _POLICY.format(" ".join(hashes) or "'none'")
        return cls("text/html; charset=utf-8", encode_text(text), policy)


class Server(socketserver.ThreadingTCPServer):
    """Serves what `contents` holds, to this machine alone.

    Args:
        port: Where; any free one if 0.

    Attributes:
        contents: What there is, by the path in the address; all else is 404.

    Raises:
        ValueError: If the port is taken.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.contents: dict[str, Content] = {}
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ValueError(
                f"Port {port} cannot be opened ({error.strerror}). Expected a "
                f"free one. Received: port={port}. `--port 0` takes any."
            ) from None

    @property
    def address(self) -> str:
        """What a browser opens."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def start(self) -> None:
        """Serves in a thread of its own, until the context is left."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: browsers break connections off as they like."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _TIMEOUT
    server_version, sys_version = "medzoo", ""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        name = self.headers.get("Host", "").rpartition(":")[0]
        if (name or self.headers.get("Host")) not in _NAMES:
            self.send_error(403, "Only this machine is served")
            return
        content = self.server.contents.get(self.path)
        if content is None:
            self.send_error(404, "There is only the page")
            return
        self._answer(200, content)

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answers with a sentence."""
        text = html.escape(message or "This is not served")
        self._answer(code, Content.of_page(f"<p>{text}.</p>"))
        self.close_connection = True

    def _answer(self, code: int, content: Content) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content.kind)
        self.send_header("Content-Length", str(len(content.body)))
        self.send_header("Content-Security-Policy", content.policy)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content.body)

    def log_message(self, *words: object) -> None:
        """Prints nothing."""
