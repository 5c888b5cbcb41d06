"""A web site and an S3 bucket on this machine, with faults on demand. Used by tests of fetching only."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Site:
    """What is served.

    Attributes:
        files: {path without the first slash: bytes}; a path that ends in "/" or is "" answers with its own bytes
            if it has some, else with an index page of links.
        faults: {path: answers to come, before good ones}: "cut:<bytes>", "status:<code>", "short".
        page_keys: Keys on one page of a bucket's list.
        seen: Paths of every request so far, with their query.
        url: Of the top, with a slash at the end.
        most: How many requests ran at once, at most.
        free: Requests for files that are answered; those after them wait until it is raised, or for a minute.
        gate: Where every request for a file waits for others, for a second.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    page_keys: int = 1000
    seen: list[str] = field(default_factory=list)
    url: str = ""
    running: int = 0
    most: int = 0
    free: int = 1 << 30
    gate: threading.Barrier | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[str]:
        """Files that were asked for, lists left out."""
        return [path for path in self.seen if "?" not in path and path and not path.endswith("/")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *args: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        site = self.site
        with site.lock:
            site.running += 1
            site.most = max(site.most, site.running)
        try:
            self._answer()
        finally:
            with site.lock:
                site.running -= 1

    def _answer(self) -> None:
        site = self.site
        parts = urlsplit(self.path)
        path = unquote(parts.path.removeprefix("/"))
        site.seen.append(self.path.removeprefix("/"))
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        fault, _, value = (site.faults[path].pop(0) if site.faults.get(path) else "ok").partition(":")
        if fault == "status":
            self._send(int(value), b"")
        elif "list-type" in query:
            self._send(200, self._bucket(query), kind="application/xml")
        elif path in site.files:
            with suppress(threading.BrokenBarrierError):
                if site.gate is not None and not path.endswith("/"):
                    site.gate.wait(30)
            ends = time.monotonic() + 60
            while len(site.asked) > site.free and time.monotonic() < ends:
                time.sleep(0.02)
            self._send(200, site.files[path], cut=int(value) if fault == "cut" else None)
        elif not path or path.endswith("/"):
            self._send(200, self._index(path), kind="text/html")
        else:
            self._send(404, b"<Error/>", kind="application/xml")

    def _send(self, status: int, body: bytes, *, kind: str = "application/x", cut: int | None = None) -> None:
        start, tag = 0, f'"{hash(body)}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range") == tag:
            start, status = int(asked[1]), 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Content-Type", kind)
        self.send_header("ETag", tag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.close_connection = cut is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            self.end_headers()
            self.wfile.write(body[start:cut])

    def _index(self, path: str) -> bytes:
        names = dict.fromkeys(
            re.sub(r"/.*", "/", name.removeprefix(path)) for name in self.site.files if name.startswith(path)
        )
        links = "".join(f'<tr><td><a href="{name}">{name}</a></td></tr>' for name in names)
        return f'<!DOCTYPE html><html><a href="?C=N;O=D">Name</a><a href="../">Up</a>{links}</html>'.encode()

    def _bucket(self, query: dict[str, str]) -> bytes:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        names: dict[str, bool] = {}
        for key in sorted(self.site.files):
            if key.startswith(prefix):
                rest = key.removeprefix(prefix)
                folder = bool(delimiter) and delimiter in rest
                names[prefix + rest.split("/")[0] + "/" if folder else key] = folder
        first = int(query.get("continuation-token", "0"))
        page = list(names.items())[first : first + self.site.page_keys]
        more = first + self.site.page_keys < len(names)
        items = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if folder
            else f"<Contents><Key>{escape(name)}</Key><Size>{len(self.site.files[name])}</Size></Contents>"
            for name, folder in page
        )
        token = (
            f"<NextContinuationToken>{first + self.site.page_keys}</NextContinuationToken>" if more else ""
        )
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{items}</ListBucketResult>"
        ).encode()


@contextmanager
def site(files: dict[str, bytes]) -> Iterator[Site]:
    """A site on a free port of this machine until the block ends."""
    running = Site(dict(files))
    handler = type("Handler", (_Handler,), {"site": running})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    running.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
