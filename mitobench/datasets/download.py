"""Download one file: resume, retry, mirrors, hashes. Decides nothing about datasets or licences."""

import errno
import os
import re
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from mitobench.arrays import hash_file
from mitobench.datasets.partial import Note, Partial
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.roots import MARGIN, check_disk
from mitobench.datasets.tar import is_tar
from mitobench.errors import FetchError
from mitobench.segmenter import Progress, no_progress

CHUNK = 1 << 16  # the last, incomplete chunk of a broken connection is lost
PROGRESS_THAT_COUNTS = 1 << 20  # bytes after which a broken connection is no reason to lose patience
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to keep trying.

    Attributes:
        connect_s: Seconds to wait for a connection.
        stall_s: Seconds without a byte after which a connection counts as dead.
        tries: Failures in a row without real progress before the next URL.
        wait_s: Pause after the first failure; doubles each time.
        longest_wait_s: No pause is longer, whatever the host asks for.
    """

    connect_s: float = 20.0
    stall_s: float = 60.0
    tries: int = 4
    wait_s: float = 1.0
    longest_wait_s: float = 60.0


class _TryAgain(Exception):  # noqa: N818 - control flow inside this file
    """This URL may work in a moment."""

    def __init__(self, why: str, *, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class _NextUrl(Exception):  # noqa: N818 - control flow inside this file
    """This URL will not work."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One published file on its way from any of its URLs."""

    session: requests.Session
    file: RemoteFile
    part: Partial
    spare_bytes: int
    patience: Patience
    progress: Progress


def download(
    file: RemoteFile,
    target: Path,
    *,
    spare_bytes: int = 0,
    patience: Patience | None = None,
    progress: Progress = no_progress,
) -> None:
    """Bring one published file to `target`; a partial file stays beside it as .part and is resumed.

    Args:
        file: What to download; its URLs are tried in order.
        target: Where it shall be; its folder is made.
        spare_bytes: Disk space that has to remain for what comes after.
        patience: Limits; None = the defaults.
        progress: Told (bytes done, bytes in all or 0, "download <name>").

    Raises:
        FetchError: Every URL failed; the message says how each did, and how to go on by hand.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"  # byte ranges of packed bodies mean nothing
        job = _Job(
            session=session,
            file=file,
            part=Partial(target),
            spare_bytes=spare_bytes,
            patience=patience or Patience(),
            progress=progress,
        )
        for url in file.urls:
            try:
                _from_url(job, url)
            except _NextUrl as error:
                failures.append(f"{url}: {error}")
            else:
                return
    listed = "\n  ".join(failures) or "the card has no URL"
    raise FetchError(
        f"{file.name} could not be downloaded:\n  {listed}\nTry again later (what has arrived "
        "is kept and resumed), or get the file by hand and pass it with --from."
    )


def check_url(url: str, *, allow_http: bool) -> None:
    """Refuse URLs that are not https; http only to this machine, or where the card says there is no other.

    Raises:
        FetchError: Another scheme, no host, or a user name in it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    plain_is_fine = parts.scheme == "http" and (allow_http or host in LOCAL_HOSTS)
    if not host or parts.username or not (parts.scheme == "https" or plain_is_fine):
        raise FetchError(f"{url} is refused: expected an https URL without a user name.")


def _from_url(job: _Job, url: str) -> None:
    patience, failed = job.patience, 0
    while True:
        before = job.part.size
        try:
            _attempt(job, url)
            _check_whole(job)
        except (_TryAgain, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failed = 1 if job.part.size - before >= PROGRESS_THAT_COUNTS else failed + 1
            if failed >= patience.tries:
                raise _NextUrl(f"{_short(error)} ({failed} tries)") from error
            pause = max(patience.wait_s * 2 ** (failed - 1), getattr(error, "after_s", 0.0))
            time.sleep(min(pause, patience.longest_wait_s))
        else:
            job.part.finish()
            return


def _attempt(job: _Job, url: str) -> None:
    """One request; on return the part is as long as the host said it would be."""
    note = job.part.note()
    start = job.part.size if note is not None and note.url == url and note.validator else 0
    if note is not None and start and start == note.total:
        return  # whole, but the last run ended before it could say so
    headers = {}
    if note is not None and note.validator and start:
        headers = {"Range": f"bytes={start}-", "If-Range": note.validator}
    with _opened(job, url, headers) as response:
        start = _continues_at(response, start, note, job.part)
        total = _total(response, start)
        if job.file.n_bytes is not None and total not in {None, job.file.n_bytes}:
            raise _NextUrl(f"it has {total} bytes, the card says {job.file.n_bytes}")
        check_disk(job.part.target.parent, (total or job.file.expected_bytes) - start + job.spare_bytes)
        if not start:
            job.part.start(Note(url=url, validator=_validator(response), total=total))
        _receive(job, response, start, total)


def _receive(job: _Job, response: requests.Response, start: int, total: int | None) -> None:
    """Append the body to the part."""
    done, limit = start, total or 2 * (job.file.expected_bytes + MARGIN)
    try:
        with job.part.path.open("ab" if start else "wb") as out:
            for chunk in response.iter_content(CHUNK):
                if not done and chunk[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
                    raise _NextUrl("it answered with a web page instead of the file")
                done += len(chunk)
                if done > limit:
                    raise _NextUrl(f"it sends more than {limit} bytes, far beyond what the card expects")
                out.write(chunk)
                job.progress(done, total or job.file.expected_bytes, f"download {job.file.name}")
            out.flush()
            os.fsync(out.fileno())
    except _NextUrl:
        job.part.drop()
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _TryAgain(f"the connection ended after {done} of {total or 'unknown'} bytes") from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise FetchError(
            f"The disk of {job.part.target.parent} is full after {done} bytes of {job.file.name}. Make room and "
            "run again: what has arrived is kept. Or set MITOBENCH_DATA to a folder on another disk."
        ) from error
    if total is not None and done != total:
        raise _TryAgain(f"the connection ended after {done} of {total} bytes")


@contextmanager
def _opened(job: _Job, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """The final response after redirects, each of which has to pass the URL policy."""
    hop, patience = url, job.patience
    for _ in range(8):
        try:
            check_url(hop, allow_http=job.file.allow_http)
        except FetchError as error:
            raise _NextUrl(str(error)) from error
        with job.session.get(
            hop,
            headers=headers,
            stream=True,
            allow_redirects=False,
            timeout=(patience.connect_s, patience.stall_s),
        ) as response:
            if response.is_redirect:
                hop = urljoin(hop, response.headers["Location"])
                continue
            _check_status(response)
            yield response
            return
    raise _NextUrl("it redirects without end")


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status in _RETRY:
        wait = response.headers.get("Retry-After", "")
        raise _TryAgain(f"HTTP {status}", after_s=float(wait) if wait.isdigit() else 0.0)
    if status not in {200, 206, 416}:
        raise _NextUrl(f"HTTP {status}")
    if "text/html" in response.headers.get("Content-Type", "").lower():
        raise _NextUrl("it answered with a web page instead of the file")


def _continues_at(response: requests.Response, start: int, note: Note | None, part: Partial) -> int:
    """Offset of the first byte that comes: `start` when the host resumes, 0 when it sends the whole."""
    if response.status_code == 200:
        return 0
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = (
        note is not None
        and match is not None
        and int(match[1]) == start
        and match[2] in {"*", str(note.total)}
        and _validator(response) in {None, note.validator}
    )
    if response.status_code == 416 or not same:
        part.drop()
        raise _TryAgain("the file changed on the host, or it cannot resume; starting over")
    return start


def _total(response: requests.Response, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _check_whole(job: _Job) -> None:
    """Refuse what cannot be the published file; hashes of members are checked when they are read."""
    part = job.part
    if job.file.kind == "zip" and not zipfile.is_zipfile(part.path):
        n_bytes = part.size
        part.drop()
        raise _TryAgain(f"what came ({n_bytes} bytes) is no complete zip archive")
    note = part.note()
    if job.file.kind == "tar" and not is_tar(part.path, whole=note is None or note.total is None):
        n_bytes = part.size
        part.drop()
        raise _TryAgain(f"what came ({n_bytes} bytes) is no complete tar archive")
    if job.file.sha256 is not None and (found := hash_file(part.path)) != job.file.sha256:
        part.drop()
        raise _NextUrl(f"what came has sha256 {found}, the card says {job.file.sha256}")


def _short(error: Exception) -> str:
    """One line for people; the texts of requests are long and repeat the URL."""
    text = str(error)
    known = (
        ("NameResolutionError", "the host was not found; is there a network?"),
        ("ConnectTimeout", "the host did not answer in time"),
        ("Read timed out", "the host fell silent"),
        ("Connection refused", "the host refuses connections"),
        ("CERTIFICATE_VERIFY_FAILED", "the host's certificate cannot be verified"),
    )
    for sign, words in known:
        if sign in text:
            return words
    return text.split("\n", 1)[0][:200] or type(error).__name__
