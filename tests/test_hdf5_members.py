"""Arrays inside published HDF5 files, read by runs of slices."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from mitobench.arrays import hash_file
from mitobench.arrays.hdf5 import read_hdf5_slices
from mitobench.datasets.archives import Published
from mitobench.datasets.reading import hdf5_slices
from mitobench.datasets.remote import RemoteFile
from mitobench.errors import FormatError, MissingExtraError

VALUES = np.random.default_rng(0).integers(0, 255, (11, 6, 5)).astype(np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one good array and everything that points elsewhere."""
    path = tmp_path / "a.h5"
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = VALUES
    with h5py.File(path, "w") as file:
        file.create_dataset("volumes/raw", data=VALUES, chunks=(2, 6, 5), compression="gzip")
        file["link"] = h5py.ExternalLink("other.h5", "secret")
        file["soft"] = h5py.SoftLink("/volumes/raw")
        layout = h5py.VirtualLayout(shape=VALUES.shape, dtype="u1")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", shape=VALUES.shape)
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", (11, 6, 5), "u1", external=[(str(tmp_path / "raw"), 0, 330)])
        (tmp_path / "raw").write_bytes(bytes(330))
        file["text"] = np.full(VALUES.shape, b"x")
        file["flat"] = VALUES[0]
    return path


def plus_one(values: np.ndarray, name: str) -> np.ndarray:
    return values + np.uint8(name == "a.h5")


def test_pieces_come_in_any_order(path: Path) -> None:
    """A plain file, checked by its hash, decoded by the reader's function."""
    file = RemoteFile(name="a.h5", urls=(), kind="plain", sha256=hash_file(path))
    pieces = hdf5_slices("a.h5", "volumes/raw", 11, plus_one, at_once=4)
    assert [piece.start for piece in pieces] == [0, 4, 8]
    with Published({file: path}) as files:
        runs = {piece.start: piece.read(files) for piece in reversed(pieces)}
    np.testing.assert_array_equal(np.concatenate([runs[start] for start in sorted(runs)]), VALUES + 1)


@pytest.mark.parametrize("array", ["link", "soft", "virtual", "external", "text", "flat", "volumes", "none"])
def test_only_arrays_of_the_file_itself_are_read(path: Path, array: str) -> None:
    """Links and storage that lead to other files of this machine are not followed."""
    with path.open("rb") as file, pytest.raises(FormatError, match=r"a\.h5 is not the published file"):
        read_hdf5_slices(file, "a.h5", array, first=0, stop=2, depth=11)


def test_another_depth_is_refused(path: Path) -> None:
    """The card, or the reader, knows how many slices there are."""
    with path.open("rb") as file, pytest.raises(FormatError, match="expected 12 slices"):
        read_hdf5_slices(file, "a.h5", "volumes/raw", first=0, stop=2, depth=12)


def test_what_is_no_hdf5_is_named() -> None:
    """A web page, for one."""
    with pytest.raises(FormatError, match=r"b\.h5"):
        read_hdf5_slices(io.BytesIO(b"<html>"), "b.h5", "a", first=0, stop=1, depth=1)


def test_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """h5py is optional."""
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with path.open("rb") as file, pytest.raises(MissingExtraError, match=r"mitobench\[hdf5\]"):
        read_hdf5_slices(file, "a.h5", "volumes/raw", first=0, stop=2, depth=11)
