"""Bring a remote folder, file by file: a few at a time, each resumed and retried, all of them recorded."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local
from urllib.parse import quote

from mitobench.arrays import hash_file
from mitobench.datasets.download import download
from mitobench.datasets.folder_journal import Journal
from mitobench.datasets.listing import Entry, S3Page, entries, s3_page
from mitobench.datasets.members import fits
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.roots import check_disk
from mitobench.datasets.tar import is_inside
from mitobench.datasets.web import Patience, Session, get_text, new_session
from mitobench.errors import FetchError
from mitobench.segmenter import Progress, no_progress

AT_ONCE = 4
"""Files in parallel: enough to hide the way to the host, few enough to be a polite guest."""
_BATCH = 256


def bring_folder(
    file: RemoteFile,
    folder: Path,
    *,
    spare_bytes: int = 0,
    patience: Patience | None = None,
    progress: Progress = no_progress,
) -> None:
    """Bring all files of a remote folder into `folder`; what arrived before is kept and not asked for again.

    Args:
        file: Which folder; its URLs are tried in order.
        folder: Where it shall be; its record `<folder>.sha256` lies beside it.
        spare_bytes: Disk space that has to remain for what comes after.
        patience: Limits; None = the defaults.
        progress: Told (bytes done, bytes in all or 0, "download <name>").

    Raises:
        FetchError: No URL gave the list or one of the files, or a list is hostile; the message says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal, failures = Journal(folder), []
    if journal.complete and not _missing(journal, folder):
        return
    for url in file.urls:
        coming = _Coming(
            file=file,
            folder=folder,
            journal=journal,
            url=url,
            patience=patience or Patience(),
            progress=progress,
        )
        try:
            check_disk(folder, file.expected_bytes + spare_bytes)
            _all(coming)
        except FetchError as error:
            failures.append(str(error))
        else:
            journal.finish()
            return
    listed = "\n  ".join(failures) or "the card has no URL"
    raise FetchError(
        f"{file.name} could not be downloaded:\n  {listed}\nTry again later (what has arrived is kept), "
        "or get the files by hand and pass their folder with --from."
    )


@dataclass(kw_only=True)
class _Coming:
    """One remote folder on its way from one of its URLs."""

    file: RemoteFile
    folder: Path
    journal: Journal
    url: str
    patience: Patience
    progress: Progress
    total: int = 0
    _done: int = 0
    _count: int = 0
    _lock: Lock = field(default_factory=Lock)
    _mine: local = field(default_factory=local)

    @property
    def session(self) -> Session:
        """Connections of this thread."""
        if not hasattr(self._mine, "session"):
            self._mine.session = new_session()
        session: Session = self._mine.session
        return session

    def text(self, url: str) -> str:
        return get_text(self.session, url, patience=self.patience, allow_http=self.file.allow_http)

    def arrived(self, n_bytes: int) -> None:
        with self._lock:
            self._done += n_bytes
            self.progress(self._done, max(self.total, self.file.expected_bytes), f"download {self.file.name}")

    def counted(self, n: int) -> None:
        """Refuse more files than a folder of this kind can have."""
        self._count += n
        most = self.file.listing.most_files if self.file.listing else 1_000_000
        if self._count > most:
            raise FetchError(f"{self.url} names more than {most} files, far beyond what the card expects.")


def _all(coming: _Coming) -> None:
    if coming.file.wanted is not None:
        for keys in coming.file.wanted(RemoteBucket(coming)):
            coming.counted(len(keys))
            _bring(coming, [_of_key(coming, key) for key in keys])
        return
    found = _listed(coming)
    coming.total = sum(entry.n_bytes or 0 for entry in found) if all(entry.n_bytes for entry in found) else 0
    check_disk(coming.folder, coming.total)
    _bring(coming, found)


def _listed(coming: _Coming) -> list[Entry]:
    """The entries that the card's patterns ask for; every other name is left alone, whatever it is."""
    file, listing = coming.file, coming.file.listing
    if listing is None:
        raise FetchError(f"{file.name} can only be got by hand.")
    if listing.kind == "s3":
        coming_entries: Iterable[Entry] = _of_bucket(coming)
    else:
        coming_entries = entries(coming.text(coming.url), coming.url, listing)
    found = {}
    for entry in coming_entries:
        coming.counted(1)
        if is_inside(entry.name) and any(fits(f"{file.name}/{entry.name}", one) for one in file.patterns):
            found[entry.name] = entry
    for pattern in file.patterns:
        if not any(fits(f"{file.name}/{name}", pattern) for name in found):
            raise FetchError(
                f"{coming.url} lists nothing that fits {pattern}. The host changed; please report it."
            )
    return list(found.values())


def _of_bucket(coming: _Coming) -> Iterator[Entry]:
    """Files of `https://bucket/?list-type=2&prefix=...`, named as they are below the prefix."""
    top, _, query = coming.url.partition("?")
    prefix = next((part[7:] for part in query.split("&") if part.startswith("prefix=")), "")
    for page in _pages(coming, coming.url):
        for key, n_bytes in page.keys.items():
            if key.startswith(prefix) and not key.endswith("/"):
                yield Entry(name=key.removeprefix(prefix), url=f"{top}{quote(key)}", n_bytes=n_bytes)


def _pages(coming: _Coming, url: str) -> Iterator[S3Page]:
    token, seen = "", set()
    while True:
        page = s3_page(
            coming.text(f"{url}&continuation-token={quote(token, safe='')}" if token else url), url
        )
        coming.counted(1 + len(page.folders))
        yield page
        if not page.token:
            return
        if page.token in seen:
            raise FetchError(f"{url} gives the same page again and again. Try again later.")
        token = page.token
        seen.add(token)


class RemoteBucket:
    """What a card's `wanted` is told: see `remote.Bucket`."""

    def __init__(self, coming: _Coming) -> None:
        self._coming = coming

    def read(self, key: str) -> bytes | None:
        """A key that was wanted before; None where the bucket has none."""
        if self._coming.journal.files[key] is None:
            return None
        return (self._coming.folder / key).read_bytes()

    def keys(self, prefix: str) -> list[str]:
        """All keys that start so, asked of the bucket."""
        found = []
        for page in _pages(self._coming, f"{self._coming.url}?list-type=2&prefix={quote(prefix)}"):
            self._coming.counted(len(page.keys))
            found += [key for key in page.keys if key.startswith(prefix)]
        return found

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below that prefix, asked of the bucket."""
        pages = _pages(self._coming, f"{self._coming.url}?list-type=2&delimiter=/&prefix={quote(prefix)}")
        return [name.removeprefix(prefix).rstrip("/") for page in pages for name in page.folders]


def _of_key(coming: _Coming, key: str) -> Entry:
    if not is_inside(key):
        raise FetchError(f"{coming.url} names {key!r}, which leads out of its folder; it is not used.")
    return Entry(name=key, url=f"{coming.url}{quote(key)}")


def _bring(coming: _Coming, found: list[Entry]) -> None:
    """Bring these files, a few at a time; the first error stops the rest."""
    there = coming.journal.files
    todo = [entry for entry in found if there.get(entry.name, "") is not None and not _has(coming, entry)]
    for entry in set(found) - set(todo):
        coming.arrived(entry.n_bytes or 0)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for first in range(0, len(todo), _BATCH):
            running = [threads.submit(_one, coming, entry) for entry in todo[first : first + _BATCH]]
            _finish(running)


def _finish(running: "list[Future[None]]") -> None:
    done, rest = wait(running, return_when=FIRST_EXCEPTION)
    for one in rest:
        one.cancel()
    for one in done:
        if not one.cancelled():
            one.result()


def _has(coming: _Coming, entry: Entry) -> bool:
    return entry.name in coming.journal.files and (coming.folder / entry.name).is_file()


def _one(coming: _Coming, entry: Entry) -> None:
    target = coming.folder / entry.name
    known = coming.journal.files.get(entry.name)
    file = RemoteFile(
        name=entry.name,
        urls=(entry.url,),
        kind="plain",
        sha256=known,
        n_bytes=entry.n_bytes,
        allow_http=coming.file.allow_http,
        absent_ok=coming.file.wanted is not None,
    )
    before = 0

    def report(done: int, _: int, __: str) -> None:
        nonlocal before
        coming.arrived(done - before)
        before = done

    if not download(file, target, patience=coming.patience, progress=report, session=coming.session):
        coming.journal.add(entry.name, None)
    elif known is None:
        coming.journal.add(entry.name, hash_file(target))


def _missing(journal: Journal, folder: Path) -> bool:
    return any(sha256 and not (folder / name).is_file() for name, sha256 in journal.files.items())
