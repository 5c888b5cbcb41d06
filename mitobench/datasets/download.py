"""Download one file: resume, retry, mirrors, hashes. Decides nothing about datasets or licences."""

import errno
import os
import re
import zipfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from mitobench.arrays import hash_file
from mitobench.datasets.partial import Note, Partial
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.roots import MARGIN, check_disk
from mitobench.datasets.tar import is_tar
from mitobench.datasets.web import Absent, NextUrl, Patience, TryAgain, new_session, opened, persist
from mitobench.errors import FetchError
from mitobench.segmenter import Progress, no_progress

CHUNK = 1 << 16  # the last, incomplete chunk of a broken connection is lost
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


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
    session: requests.Session | None = None,
) -> bool:
    """Bring one published file to `target`; a partial file stays beside it as .part and is resumed.

    Args:
        file: What to download; its URLs are tried in order.
        target: Where it shall be; its folder is made.
        spare_bytes: Disk space that has to remain for what comes after.
        patience: Limits; None = the defaults.
        progress: Told (bytes done, bytes in all or 0, "download <name>").
        session: Connections to go on using, where many files come from one host; None = new ones.

    Returns:
        Whether it is there; False where the file may be absent (`absent_ok`) and every host says that it is.

    Raises:
        FetchError: Every URL failed; the message says how each did, and how to go on by hand.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    with new_session() if session is None else nullcontext(session) as asking:
        job = _Job(
            session=asking,
            file=file,
            part=Partial(target),
            spare_bytes=spare_bytes,
            patience=patience or Patience(),
            progress=progress,
        )
        absent = 0
        for url in file.urls:
            try:
                _from_url(job, url)
            except NextUrl as error:
                absent += isinstance(error, Absent)
                failures.append(f"{url}: {error}")
            else:
                return True
    if file.absent_ok and absent == len(file.urls):
        return False
    listed = "\n  ".join(failures) or "the card has no URL"
    raise FetchError(
        f"{file.name} could not be downloaded:\n  {listed}\nTry again later (what has arrived "
        "is kept and resumed), or get the file by hand and pass it with --from."
    )


def _from_url(job: _Job, url: str) -> None:
    def attempt() -> None:
        _attempt(job, url)
        _check_whole(job)

    persist(attempt, job.patience, lambda: job.part.size)
    job.part.finish()


def _attempt(job: _Job, url: str) -> None:
    """One request; on return the part is as long as the host said it would be."""
    note = job.part.note()
    start = job.part.size if note is not None and note.url == url and note.validator else 0
    if note is not None and start and start == note.total:
        return  # whole, but the last run ended before it could say so
    headers = {}
    if note is not None and note.validator and start:
        headers = {"Range": f"bytes={start}-", "If-Range": note.validator}
    with opened(
        job.session, url, patience=job.patience, allow_http=job.file.allow_http, headers=headers
    ) as response:
        start = _continues_at(response, start, note, job.part)
        total = _total(response, start)
        if job.file.n_bytes is not None and total not in {None, job.file.n_bytes}:
            raise NextUrl(f"it has {total} bytes, the card says {job.file.n_bytes}")
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
                    raise NextUrl("it answered with a web page instead of the file")
                done += len(chunk)
                if done > limit:
                    raise NextUrl(f"it sends more than {limit} bytes, far beyond what the card expects")
                out.write(chunk)
                job.progress(done, total or job.file.expected_bytes, f"download {job.file.name}")
            out.flush()
            os.fsync(out.fileno())
    except NextUrl:
        job.part.drop()
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TryAgain(f"the connection ended after {done} of {total or 'unknown'} bytes") from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise FetchError(
            f"The disk of {job.part.target.parent} is full after {done} bytes of {job.file.name}. Make room and "
            "run again: what has arrived is kept. Or set MITOBENCH_DATA to a folder on another disk."
        ) from error
    if total is not None and done != total:
        raise TryAgain(f"the connection ended after {done} of {total} bytes")


def _continues_at(response: requests.Response, start: int, note: Note | None, part: Partial) -> int:
    """Offset of the first byte that comes: `start` when the host resumes, 0 when it sends the whole."""
    if response.status_code == 200:
        return 0
    if _is_packed(response):
        part.drop()
        raise TryAgain("it continued with a packed body; starting over")
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
        raise TryAgain("the file changed on the host, or it cannot resume; starting over")
    return start


def _is_packed(response: requests.Response) -> bool:
    """Whether the host packed the body although it was asked not to; its length and ranges then mean nothing."""
    return response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}


def _total(response: requests.Response, start: int) -> int | None:
    if _is_packed(response):
        return None
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _validator(response: requests.Response) -> str | None:
    if _is_packed(response):
        return None
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
        raise TryAgain(f"what came ({n_bytes} bytes) is no complete zip archive")
    note = part.note()
    if job.file.kind == "tar" and not is_tar(part.path, whole=note is None or note.total is None):
        n_bytes = part.size
        part.drop()
        raise TryAgain(f"what came ({n_bytes} bytes) is no complete tar archive")
    if job.file.sha256 is not None and (found := hash_file(part.path)) != job.file.sha256:
        part.drop()
        raise NextUrl(f"what came has sha256 {found}, the card says {job.file.sha256}")
