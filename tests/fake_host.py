"""A web host on this machine that misbehaves on demand. Used by the fetch tests only."""

import gzip
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Host:
    """What is served, and how each request in turn is answered.

    Attributes:
        content: The file.
        etag: Its ETag; "" = none.
        modes: One per coming request; when used up, requests are answered well.
        seen: Headers of every request so far.
        go_on: Set by a test that is done with answers of mode "hold".
    """

    content: bytes
    etag: str = '"one"'
    modes: list[str] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    go_on: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: Host

    def log_message(self, *args: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        host = self.host
        host.seen.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
        mode, _, value = (host.modes.pop(0) if host.modes else "ok").partition(":")
        with suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"_{mode.replace('-', '_')}")(value)
        self.close_connection = True

    def do_HEAD(self) -> None:
        """Answered like GET; clients do not read the body."""
        self.do_GET()

    def _start(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.host.etag:
            self.send_header("ETag", self.host.etag)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def _range(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or self.headers.get("If-Range") not in {None, self.host.etag}:
            return 0
        return int(asked[1])

    def _body(self, n: int | None = None, *, claim: int | None = None) -> None:
        start, whole = self._range(), self.host.content
        body = whole[start:]
        length = len(body) if claim is None else claim
        if start:
            self._start(206, length, Content_Range=f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self._start(200, length)
        self.wfile.write(body[:n])

    def _ok(self, _: str) -> None:
        self._body()

    def _cut(self, n: str) -> None:
        self._body(int(n))

    def _stall(self, n: str) -> None:
        self._body(int(n))
        self.host.go_on.wait(60)

    def _hold(self, n: str) -> None:
        self._body(int(n))
        self.host.go_on.wait(60)

    def _slow(self, _: str) -> None:
        """Everything, 64 kB every 0.05 s."""
        start = self._range()
        body = self.host.content[start:]
        self._start(200 if not start else 206, len(body))
        for place in range(0, len(body), 1 << 16):
            self.wfile.write(body[place : place + (1 << 16)])
            time.sleep(0.05)

    def _claim(self, n: str) -> None:
        self._body(claim=int(n))

    def _endless(self, _: str) -> None:
        self._start(200, None)
        for _ in range(100):  # 26 MB: endless enough, and no disaster if nobody stops it
            self.wfile.write(b"x" * (1 << 18))

    def _no_length(self, _: str) -> None:
        self._start(200, None)
        self.wfile.write(self.host.content)

    def _no_length_cut(self, n: str) -> None:
        self._start(200, None)
        self.wfile.write(self.host.content[: int(n)])

    def _html(self, kind: str) -> None:
        # Each of the two signs alone has to be enough: the type, or the first bytes.
        page = b"<!DOCTYPE html><title>Sign in</title>" if kind else b"<!-- proxy --><title>Sign in</title>"
        self._start(200, len(page), Content_Type=kind or "text/html; charset=utf-8")
        self.wfile.write(page)

    def _redirect(self, where: str) -> None:
        self._start(302, 0, Location=where)

    def _status(self, status: str) -> None:
        code, _, wait = status.partition(":")
        self._start(int(code), 0, Retry_After=wait or "0")

    def _gzip(self, n: str) -> None:
        """Packed although nobody asked; cut after n bytes where n is given."""
        body = gzip.compress(self.host.content)
        self._start(200, len(body), Content_Encoding="gzip")
        self.wfile.write(body[: int(n) if n else None])

    def _other_etag_206(self, _: str) -> None:
        """Ignores If-Range and continues another file."""
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.host.etag = '"two"'
        body = self.host.content[start:]
        self._start(
            206, len(body), Content_Range=f"bytes {start}-{start + len(body) - 1}/{len(self.host.content)}"
        )
        self.wfile.write(body)

    def _wrong_offset_206(self, _: str) -> None:
        self._start(206, len(self.host.content), Content_Range=f"bytes 0-1/{len(self.host.content)}")
        self.wfile.write(self.host.content)


@contextmanager
def serving(content: bytes) -> Iterator[Host]:
    """A host on a free port of this machine until the block ends."""
    host = Host(content)
    handler = type("Handler", (_Handler,), {"host": host})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_address[1]}/file.zip"
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
