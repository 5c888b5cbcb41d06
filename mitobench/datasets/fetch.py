"""From published files to a complete store: decide where each file comes from, then act, under one lock."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mitobench.datasets.archives import Published, why_not
from mitobench.datasets.card import DatasetCard
from mitobench.datasets.convert import Source, write_store
from mitobench.datasets.filestate import state_key
from mitobench.datasets.journal import unfinished_bytes
from mitobench.datasets.licence import require_agreement
from mitobench.datasets.reading import Dataset
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.reopening import Reopening
from mitobench.datasets.roots import check_disk, data_root, sources
from mitobench.datasets.store import StoreIndex, read_index
from mitobench.datasets.tar import drop_unpacked
from mitobench.errors import DatasetNotFoundError, FetchError, IntegrityError
from mitobench.segmenter import Progress, no_progress
from mitobench.workers import Workers, open_workers

if TYPE_CHECKING:
    from mitobench.datasets.web import Patience


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where one published file will come from.

    Attributes:
        file: Which one.
        action: "take" what is on disk, or "download".
        path: What to take, or where to download to.
        passed_over: One line for every place that was looked at and could not serve.
    """

    file: RemoteFile
    action: Literal["take", "download"]
    path: Path
    passed_over: tuple[str, ...] = ()


def plan_file(file: RemoteFile, *, given: Path | None, folders: Iterable[Path], downloads: Path) -> Plan:
    """Decide without acting: the given path, the source folders, an earlier download, the network.

    Args:
        file: What is needed.
        given: Archive, unpacked archive or folder of archives that the user named; it must serve.
        folders: Folders to look through.
        downloads: Folder of earlier downloads.

    Raises:
        DatasetNotFoundError: `given` does not exist.
        IntegrityError: `given` does not hold the file.
    """
    passed_over: list[str] = []
    if given is not None and not given.exists():
        raise DatasetNotFoundError(
            f"{given} does not exist. Give an archive or a folder that holds {file.name}."
        )
    for place in _candidates(file, given=given, folders=folders, downloads=downloads):
        reason = why_not(file, place)
        if reason is None:
            return Plan(file=file, action="take", path=place, passed_over=tuple(passed_over))
        passed_over.append(reason)
    if given is not None:
        raise IntegrityError(
            f"{given} does not hold {file.name}: {passed_over[0] if passed_over else 'nothing of that name'} "
            "Give the published archive itself, the folder it is in, or its unpacked folder."
        )
    return Plan(file=file, action="download", path=downloads / file.name, passed_over=tuple(passed_over))


def fetch(
    name: str,
    *,
    root: Path | str | None = None,
    archives: Path | str | None = None,
    agree: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
    patience: "Patience | None" = None,
    progress: Progress = no_progress,
) -> Path:
    """Bring a dataset into canonical form on this machine; does nothing when it is there already.

    Sources in order: `archives`, the folders in MITOBENCH_SOURCES, an earlier download, the card's URLs.
    Two calls at once do not meet: the second waits and finds the work done. A call that is killed, while it
    downloads or while it converts, goes on where it was when it is made again.

    Args:
        name: Dataset key.
        root: Data root; None = MITOBENCH_DATA, else the user's cache folder.
        archives: Archive, unpacked archive or folder of archives on disk; the network is then not used.
        agree: Agree to a non-commercial licence; asked once per data root, and only before a download.
        workers: Who converts: 0 = threads, one for each processor; 1 = one piece after the other; more = that
            many processes.
        scheduler: Address of a Dask scheduler whose workers convert instead; they have to see the data root and
            the archives under the same paths.
        patience: Limits of the download.
        progress: Told about bytes and slices.

    Returns:
        Folder of the store.

    Raises:
        UnknownNameError: No such dataset.
        LicenceError: Nobody agreed to the licence yet.
        FetchError: No source worked, or the disk is full.
        IntegrityError: A file is not the one on the card; it is named, with both hashes.
        BadInputError: Workers that make no sense.
        WorkerError: A worker vanished, or the cluster cannot do the work.
    """
    given = None if archives is None else Path(archives).expanduser()
    folder, _ = ensure_store(
        find_dataset(name),
        root=root,
        given=given,
        agree=agree,
        workers=workers,
        scheduler=scheduler,
        patience=patience,
        progress=progress,
    )
    return folder


def ensure_store(
    dataset: Dataset,
    *,
    root: Path | str | None = None,
    given: Path | None = None,
    agree: bool = False,
    allow_download: bool = True,
    workers: int = 0,
    scheduler: str | None = None,
    patience: "Patience | None" = None,
    progress: Progress = no_progress,
) -> tuple[Path, StoreIndex]:
    """Folder and index of a complete store, made if need be; see `fetch` for arguments and errors.

    Raises:
        DatasetNotFoundError: It would have to be downloaded, and allow_download is False.
    """
    top = data_root(root)
    folder = top / dataset.card.store_name
    index = read_index(folder, dataset)
    if index is not None:
        return folder, index
    with _locked(dataset.card, top, progress):
        index = read_index(folder, dataset)  # another process may have done it while this one waited
        if index is None:
            with open_workers(workers, scheduler) as crew:  # before any download
                places = _bring_files(dataset.card, top, given, agree, allow_download, patience, progress)
                check_disk(top, dataset.card.store_bytes - unfinished_bytes(folder))
                index = _convert(dataset, places, folder, top, crew, progress)
    return folder, index


@contextmanager
def _locked(card: DatasetCard, root: Path, progress: Progress) -> Iterator[None]:
    """Keep other processes from this dataset; say so when one has to be waited for."""
    from filelock import FileLock, Timeout

    lock = FileLock(root / "locks" / f"{card.store_name}.lock")
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(0, 1, f"waiting for another process that fetches {card.key}")
            lock.acquire()
    except OSError as error:
        raise FetchError(
            f"{root} cannot be written to ({error}). Set MITOBENCH_DATA to a folder that can."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _bring_files(
    card: DatasetCard,
    root: Path,
    given: Path | None,
    agree: bool,
    allow_download: bool,
    patience: "Patience | None",
    progress: Progress,
) -> dict[RemoteFile, Path]:
    downloads = root / "downloads" / card.key
    plans = [plan_file(file, given=given, folders=sources(), downloads=downloads) for file in card.files]
    wanted = [plan for plan in plans if plan.action == "download"]
    if wanted and not allow_download:
        raise DatasetNotFoundError(_not_here(card, root, wanted))
    if wanted:
        require_agreement(card, root, agree=agree, note=_passed_over(wanted))
        from mitobench.datasets.bring import bring

        coming = {plan.file: plan.path for plan in wanted}
        bring(card, coming, patience=patience, progress=progress)
    return {plan.file: plan.path for plan in plans}


def _convert(
    dataset: Dataset,
    places: dict[RemoteFile, Path],
    folder: Path,
    root: Path,
    crew: Workers,
    progress: Progress,
) -> StoreIndex:
    try:
        scratch = root / "downloads" / dataset.card.key
        with Published(places, scratch=scratch, progress=progress) as files:
            source = Source(
                dataset=dataset,
                files=files,
                elsewhere=Reopening(run=uuid.uuid4().hex, places=places, scratch=scratch, known=files.known),
                identity={file.name: state_key(path) for file, path in places.items()} | dict(files.seen),
            )
            index = write_store(source, folder, crew, progress)
            drop_unpacked(scratch)
            if index.left_out:
                progress(0, 0, f"{len(index.left_out)} published volumes were left out; store.json says why")
            for name in files.unpinned(index.members):
                progress(1, 1, f"recorded sha256 {index.members[name]} of {name}, whose hash was not known")
            return index
    except IntegrityError as error:
        ours = [path for path in places.values() if (root / "downloads") in path.parents]
        copies = [file for path in ours for file in (path.rglob("*") if path.is_dir() else [path])]
        named = [path for path in copies if path.is_file() and str(path) in str(error)]
        if not named:
            raise
        for path in named:
            path.unlink(missing_ok=True)
        raise IntegrityError(
            f"{error} The downloaded copy was deleted. Try again; if it recurs, the host changed the file."
        ) from error


def _candidates(
    file: RemoteFile, *, given: Path | None, folders: Iterable[Path], downloads: Path
) -> list[Path]:
    if file.kind == "folder":
        tops = folders if given is None else [given]
        found = [top / file.name for top in tops if (top / file.name).is_dir()]
        if given is not None:
            return found or [given]
        return [*found, *([downloads / file.name] if (downloads / f"{file.name}.sha256").is_file() else [])]
    if given is not None:
        return [given] if given.is_file() else [*_named_in(given, file), given]
    found = [path for folder in folders for path in _named_in(folder, file)]
    return [*found, *([downloads / file.name] if (downloads / file.name).is_file() else [])]


def _named_in(folder: Path, file: RemoteFile) -> list[Path]:
    """Files of that folder whose name fits, the exact name first."""
    exact = [folder / file.name] if (folder / file.name).is_file() else []
    others = {path for pattern in file.also_named for path in folder.glob(pattern)} - set(exact)
    return [*exact, *sorted(others)]


def _not_here(card: DatasetCard, root: Path, wanted: list[Plan]) -> str:
    return (
        f"{card.key} is not in {root}. Run: mitobench fetch {card.key} ({card.download_bytes / 1e6:.0f} MB), "
        f"or pass root=, or name a folder with its archive in MITOBENCH_SOURCES."
        f"{_passed_over(wanted)}"
    )


def _passed_over(plans: list[Plan]) -> str:
    return "".join(f"\n  passed over: {line}" for plan in plans for line in plan.passed_over)
