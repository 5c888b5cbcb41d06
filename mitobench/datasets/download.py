"""Download one file: resume, retry, mirrors, hashes. Decides nothing about datasets or licences."""

import errno
import json
import os
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from mitobench.arrays import hash_file
from mitobench.datasets.card import RemoteFile
from mitobench.errors import FetchError
from mitobench.segmenter import Progress, no_progress

CHUNK = 1 << 16  # the last, incomplete chunk of a broken connection is lost
MARGIN = 64 << 20  # bytes that a disk keeps free, and that a file of unknown length may be longer
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
class _PartNote:
    """Kept beside a partial file: what it is a part of.

    Attributes:
        url: Where it came from.
        validator: ETag or Last-Modified; the host continues only if it still holds.
        total: Length of the whole, or None.
    """

    url: str
    validator: str | None
    total: int | None


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
    patience = patience or Patience()
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"  # byte ranges of packed bodies mean nothing
        for url in file.urls:
            try:
                _from_url(session, url, file, target, spare_bytes, patience, progress)
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


def _from_url(
    session: requests.Session,
    url: str,
    file: RemoteFile,
    target: Path,
    spare_bytes: int,
    patience: Patience,
    progress: Progress,
) -> None:
    part, failed = target.with_name(f"{target.name}.part"), 0
    while True:
        before = _size(part)
        try:
            _attempt(session, url, file, part, spare_bytes, patience, progress)
            _check_whole(file, part)
        except (_TryAgain, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failed = 1 if _size(part) - before >= PROGRESS_THAT_COUNTS else failed + 1
            if failed >= patience.tries:
                raise _NextUrl(f"{_short(error)} ({failed} tries)") from error
            pause = max(patience.wait_s * 2 ** (failed - 1), getattr(error, "after_s", 0.0))
            time.sleep(min(pause, patience.longest_wait_s))
        else:
            part.replace(target)
            _note_path(part).unlink(missing_ok=True)
            return


def _attempt(
    session: requests.Session,
    url: str,
    file: RemoteFile,
    part: Path,
    spare_bytes: int,
    patience: Patience,
    progress: Progress,
) -> None:
    """One request; on return `part` is as long as the host said it would be."""
    note = _read_note(part)
    start = _size(part) if note is not None and note.url == url and note.validator else 0
    if note is not None and start and start == note.total:
        return  # whole, but the last run ended before it could say so
    ask = {"Range": f"bytes={start}-", "If-Range": note.validator} if note is not None and start else {}
    with _opened(session, url, file, {key: str(value) for key, value in ask.items()}, patience) as response:
        start = _continues_at(response, start, note, part)
        total = _total(response, start)
        if file.n_bytes is not None and total not in {None, file.n_bytes}:
            raise _NextUrl(f"it has {total} bytes, the card says {file.n_bytes}")
        check_disk(part.parent, (total or file.expected_bytes) - start + spare_bytes)
        if not start:
            part.unlink(missing_ok=True)
            _write_note(part, _PartNote(url=url, validator=_validator(response), total=total))
        _receive(response, part, start, total, file, progress)


def _receive(
    response: requests.Response,
    part: Path,
    start: int,
    total: int | None,
    file: RemoteFile,
    progress: Progress,
) -> None:
    done, limit = start, total or 2 * (file.expected_bytes + MARGIN)
    try:
        with part.open("ab" if start else "wb") as out:
            for chunk in response.iter_content(CHUNK):
                if not done and chunk[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
                    raise _NextUrl("it answered with a web page instead of the file")
                done += len(chunk)
                if done > limit:
                    raise _NextUrl(f"it sends more than {limit} bytes, far beyond what the card expects")
                out.write(chunk)
                progress(done, total or file.expected_bytes, f"download {file.name}")
            out.flush()
            os.fsync(out.fileno())
    except _NextUrl:
        _drop(part)
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _TryAgain(f"the connection ended after {done} of {total or 'unknown'} bytes") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise FetchError(
                f"The disk of {part.parent} is full after {done} bytes of {file.name}. Make room and run again: "
                "what has arrived is kept. Or set MITOBENCH_DATA to a folder on another disk."
            ) from error
        raise
    if total is not None and done != total:
        raise _TryAgain(f"the connection ended after {done} of {total} bytes")


@contextmanager
def _opened(
    session: requests.Session, url: str, file: RemoteFile, headers: dict[str, str], patience: Patience
) -> Iterator[requests.Response]:
    """The final response after redirects, each of which has to pass the URL policy."""
    hop = url
    for _ in range(8):
        try:
            check_url(hop, allow_http=file.allow_http)
        except FetchError as error:
            raise _NextUrl(str(error)) from error
        with session.get(
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


def _continues_at(response: requests.Response, start: int, note: _PartNote | None, part: Path) -> int:
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
        _drop(part)
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


def _check_whole(file: RemoteFile, part: Path) -> None:
    if file.kind == "zip" and not zipfile.is_zipfile(part):
        n_bytes = _size(part)
        _drop(part)
        raise _TryAgain(f"what came ({n_bytes} bytes) is no complete zip archive")
    if file.sha256 is not None and (found := hash_file(part)) != file.sha256:
        _drop(part)
        raise _NextUrl(f"what came has sha256 {found}, the card says {file.sha256}")


def check_disk(folder: Path, needed: int) -> None:
    """Make sure that so many bytes fit on the disk of that folder.

    Raises:
        FetchError: They do not; the message says how many there are and how many are needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN:
        raise FetchError(
            f"{folder} has {free / 1e9:.2f} GB free, but {(needed + MARGIN) / 1e9:.2f} GB are needed. "
            "Make room, or set MITOBENCH_DATA to a folder on another disk."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _read_note(part: Path) -> _PartNote | None:
    try:
        found = json.loads(_note_path(part).read_text(encoding="utf-8"))
        return _PartNote(url=found["url"], validator=found["validator"], total=found["total"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: start over
        return None


def _write_note(part: Path, note: _PartNote) -> None:
    temporary = part.with_name(f".{part.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(note)), encoding="utf-8")
    temporary.replace(_note_path(part))


def _short(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200] or type(error).__name__
