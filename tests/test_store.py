"""The canonical store: what a kill, a second process or a flipped bit can do to it, and what notices."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, vnc

from mitobench.arrays import hash_file, sha256_of_array
from mitobench.datasets import fetch, load_split, registry, verify
from mitobench.datasets.reading import Piece, RawVolume
from mitobench.datasets.store import expected_hashes, read_index
from mitobench.errors import DatasetNotFoundError, DtypeError, FetchError, IntegrityError, ShapeError

TESTS = Path(__file__).resolve().parent

# Runs in a process of its own: the vnc fake with every slice made slow, so that a kill lands inside it.
FETCH = """
import sys, time
from dataclasses import replace
from functools import partial
from pathlib import Path
sys.path.insert(0, {tests!r})
from fakes import vnc
from mitobench.datasets import fetch, registry, verify

fake = vnc.build(Path({folder!r}))

def wait(read, files):
    time.sleep({pause})
    return read(files)

def slow(card, files):
    print("converting", flush=True)
    for raw in fake.dataset.read(card, files):
        arrays = {{}}
        for what in ("image", "labels"):
            pieces = getattr(raw, what)
            if pieces is not None:
                arrays[what] = [replace(piece, read=partial(wait, piece.read)) for piece in pieces]
        yield replace(raw, **arrays)

registry.DATASETS = {{"vnc": replace(fake.dataset, read=slow)}}
Path({ready!r}).touch()
while not Path({go!r}).exists():
    time.sleep(0.002)
fetch("vnc", root={root!r}, archives=fake.archives, workers=1)
verify("vnc", root={root!r})
print("verified", flush=True)
"""


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The vnc fake, registered, with its archive as source."""
    fake = vnc.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"vnc": fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


@pytest.fixture
def store(fake: Fake) -> Path:
    """A finished store."""
    return fetch("vnc")


def run(
    tmp_path: Path, root: Path, *, name: str, pause: float = 0.0, go: Path | None = None
) -> subprocess.Popen[str]:
    """A process that stands ready to fetch, and starts as soon as `go` exists (None: at once)."""
    ready = tmp_path / f"{name}.ready"  # a line on stdout could take the lines after it along when it is read
    code = FETCH.format(
        tests=str(TESTS),
        folder=str(tmp_path / name),
        root=str(root),
        pause=pause,
        ready=str(ready),
        go=str(go or tmp_path),
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MITOBENCH")}
    environment["PYTHONPATH"] = str(TESTS.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    while not ready.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


def finish(process: subprocess.Popen[str]) -> str:
    """Its remaining output; it must end well."""
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


def test_store_is_plain_arrays_and_an_index(store: Path, fake: Fake) -> None:
    """Any tool can read it: .npy in C order, and JSON with shape, voxel size, dtype and hashes."""
    index = json.loads((store / "store.json").read_text())
    assert (index["dataset"], index["label_version"]) == ("vnc", "1")
    stack1 = index["volumes"]["stack1"]
    assert stack1["shape"] == [20, 36, 32]
    assert stack1["voxel_size_nm"] == [50.0, 4.6, 4.6]
    assert index["volumes"]["stack2"]["labels"] is None
    assert index["members"]["stack1/raw/00.tif"] == fake.dataset.card.files[0].members["stack1/raw/00.tif"]
    for what, truth in zip(("image", "labels"), fake.truth["stack1"], strict=True):
        path = store / stack1[what]["file"]
        array = np.load(path)
        np.testing.assert_array_equal(array, truth)
        assert array.flags.c_contiguous
        assert index["files"][path.name]["sha256"] == hash_file(path)
        assert stack1[what]["array_sha256"] == sha256_of_array(truth)


def test_two_processes_at_once_do_not_meet(tmp_path: Path, data_root: Path) -> None:
    """Both end with the same verified store; the work is done once."""
    go = tmp_path / "go"
    both = [run(tmp_path, data_root, name=name, pause=0.01, go=go) for name in ("one", "two")]
    go.touch()
    out = [finish(process) for process in both]
    assert ["verified" in text for text in out] == [True, True]
    assert sorted("converting" in text for text in out) == [False, True]


@pytest.mark.parametrize("name", ["stack1.image.npy", "stack1.labels.npy", "stack2.image.npy"])
@pytest.mark.parametrize("place", [20, 3000, -1])
def test_a_flipped_bit_is_named(store: Path, name: str, place: int) -> None:
    """In the header, in the middle or in the last byte of any file."""
    data = bytearray((store / name).read_bytes())
    data[place] ^= 4
    (store / name).write_bytes(data)
    with pytest.raises(IntegrityError, match=rf"{name} has sha256 [0-9a-f]{{64}}, store.json says") as caught:
        verify("vnc")
    assert sum(line.strip().startswith("stack") for line in str(caught.value).splitlines()) == 1


def test_every_problem_is_reported_at_once(store: Path) -> None:
    """A missing file and a changed one, in one message."""
    (store / "stack2.image.npy").unlink()
    (store / "stack1.labels.npy").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"(?s)stack1\.labels\.npy has.*stack2\.image\.npy is missing"):
        verify("vnc")


def test_an_index_that_agrees_with_changed_files_is_still_caught(store: Path) -> None:
    """Whoever rewrites array and store.json together is stopped by the manifest under review."""
    path = store / "stack1.labels.npy"
    changed = np.load(path)
    changed[0, 0, 0] ^= 1
    np.save(path, changed)
    index = json.loads((store / "store.json").read_text())
    index["files"][path.name]["sha256"] = hash_file(path)
    index["volumes"]["stack1"]["labels"]["array_sha256"] = sha256_of_array(changed)
    (store / "store.json").write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match=r"stack1\.labels\.npy decodes to .* the split manifest says"):
        verify("vnc")


def test_verify_without_a_store_says_so(fake: Fake, store: Path) -> None:
    """Never fetched, and fetched but not finished."""
    (store / "store.json").write_text("{broken")
    with pytest.raises(IntegrityError, match="damaged"):
        verify("vnc")
    (store / "store.json").unlink()
    with pytest.raises(DatasetNotFoundError, match="mitobench fetch vnc"):
        verify("vnc")


@pytest.mark.parametrize("damage", ["cut", "missing", "no index", "broken index", "other hash"])
def test_a_store_that_is_visibly_incomplete_is_made_again(store: Path, fake: Fake, damage: str) -> None:
    """load_split looks at lengths and the index each time, and repairs without being told."""
    path, good = store / "stack1.image.npy", (store / "store.json").read_text()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "missing":
        path.unlink()
    elif damage == "no index":
        (store / "store.json").unlink()
    elif damage == "broken index":
        (store / "store.json").write_text("{")
    else:
        index = json.loads((store / "store.json").read_text())
        index["volumes"]["stack1"]["image"]["array_sha256"] = "0" * 64
        (store / "store.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(load_split("vnc", "test")[0].image, fake.truth["stack1"][0][16:20])
    assert (store / "store.json").read_text() == good
    verify("vnc")


def test_leftovers_of_killed_runs_go(fake: Fake, data_root: Path) -> None:
    """Temporary files of other processes are removed once the lock is held."""
    folder = data_root / "vnc@1"
    folder.mkdir(parents=True)
    (folder / ".stack1.image.npy.4242.tmp").write_bytes(b"half")
    fetch("vnc")
    assert not list(folder.glob(".*"))


def test_a_full_disk_is_noticed_before_converting(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is half written."""
    monkeypatch.setattr("mitobench.datasets.roots.MARGIN", 1 << 60)
    with pytest.raises(FetchError, match="GB are needed"):
        fetch("vnc")
    assert not (data_root / "vnc@1").exists()


def wrong(raw: RawVolume, what: str) -> Iterator[RawVolume]:
    """A volume as a faulty reader would give it."""
    changes = {"dtype": lambda plane: plane.astype(np.uint16), "slice": lambda plane: plane[1:]}
    if what in changes:
        yield replace(raw, image=[changed(piece, changes[what]) for piece in raw.image])
    elif what == "short":
        yield replace(raw, image=raw.image[:-1])


def changed(piece: Piece, change: Callable[[np.ndarray], np.ndarray]) -> Piece:
    return replace(piece, read=lambda files: change(piece.read(files)))


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("dtype", DtypeError, "is uint16; expected uint8"),
        ("slice", ShapeError, "a slice has shape"),
        ("short", ShapeError, "19 slices came"),
        ("none", IntegrityError, "the reader gave no stack1, stack2"),
    ],
)
def test_a_faulty_reader_leaves_no_store(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: type, says: str
) -> None:
    """Nothing is cast or padded silently, and a volume that never comes is missed."""

    def read(card, files):
        for raw in fake.dataset.read(card, files):
            yield from wrong(raw, what)

    monkeypatch.setattr(registry, "DATASETS", {"vnc": replace(fake.dataset, read=read)})
    with pytest.raises(error, match=says):
        fetch("vnc")
    assert not (data_root / "vnc@1" / "store.json").exists()
    assert not list((data_root / "vnc@1").glob(".*"))


def test_a_read_only_root_with_a_store_can_be_loaded(
    store: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared data on a cluster: loading takes no lock and writes nothing."""
    monkeypatch.setattr("filelock.FileLock", None)
    before = {path: path.stat().st_mtime_ns for path in store.parent.rglob("*")}
    load_split("vnc", "train")
    assert {path: path.stat().st_mtime_ns for path in store.parent.rglob("*")} == before


def test_old_split_versions_read_the_same_store(store: Path, fake: Fake) -> None:
    """A second manifest of the same ground truth needs no new conversion, and the first stays loadable."""
    first = (fake.dataset.splits_folder / "vnc@1.toml").read_text()
    second = first.replace("\nversion = 1", "\nversion = 2").replace("stop = [12,", "stop = [10,")
    (fake.dataset.splits_folder / "vnc@2.toml").write_text(second)
    before = (store / "store.json").stat().st_mtime_ns
    new, old = load_split("vnc", "train"), load_split("vnc", "train", version=1)
    assert [(new.version, new[0].shape[0]), (old.version, old[0].shape[0])] == [(2, 10), (1, 12)]
    assert new.manifest_sha256 != old.manifest_sha256
    assert (store / "store.json").stat().st_mtime_ns == before


def test_a_split_of_other_labels_is_refused(store: Path, fake: Fake) -> None:
    """A manifest for ground truth that this release cannot read says which release can."""
    first = (fake.dataset.splits_folder / "vnc@1.toml").read_text()
    other = first.replace("\nversion = 1", "\nversion = 2").replace(
        'label_version = "1"', 'label_version = "2"'
    )
    (fake.dataset.splits_folder / "vnc@2.toml").write_text(other)
    with pytest.raises(DatasetNotFoundError, match="needs ground truth version 2"):
        load_split("vnc", "train")
    assert read_index(store, fake.dataset) is not None
    assert set(expected_hashes(fake.dataset)) == {"stack1", "stack2"}
