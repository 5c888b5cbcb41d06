"""Volumes as dask arrays: the same voxels, and a graph that names the file instead of carrying it."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from mitobench.errors import BadInputError, MissingExtraError
from mitobench.volume import Volume

SHAPE = (6, 40, 50)


def _volume(folder: Path | None) -> Volume:
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    labels = np.arange(np.prod(SHAPE), dtype=np.uint32).reshape(SHAPE)
    if folder is not None:
        for name, array in (("image", image), ("labels", labels)):
            np.save(folder / f"{name}.npy", array)
        image, labels = (np.load(folder / f"{n}.npy", mmap_mode="r")[1:, 5:] for n in ("image", "labels"))
    return Volume(name="a", image=image, labels=labels, label_kind="instance", voxel_size_nm=(30, 8, 8))


@pytest.mark.parametrize("mapped", [True, False])
def test_blocks_are_the_voxels(tmp_path: Path, mapped: bool) -> None:
    """Image and labels, views of a file or arrays in memory, in chunks that do not divide the shape."""
    pytest.importorskip("dask")
    volume = _volume(tmp_path if mapped else None)
    for what in ("image", "labels"):
        array = getattr(volume, what)
        blocks = volume.as_dask(what, chunks=(4, 16, 30))
        assert (blocks.shape, blocks.dtype, blocks.chunksize) == (array.shape, array.dtype, (4, 16, 30))
        assert np.array_equal(blocks.compute(scheduler="sync"), array)
        assert int(blocks[2:5, 3].sum().compute(scheduler="sync")) == int(array[2:5, 3].sum(dtype=np.int64))


def test_a_mapped_volume_travels_by_name(tmp_path: Path) -> None:
    """The pickled graph is far smaller than the array, and computes the same where it arrives."""
    pytest.importorskip("dask")
    volume = _volume(tmp_path)
    blocks = volume.as_dask("labels", chunks=(5, 35, 50))
    packed = pickle.dumps(blocks)
    assert len(packed) < volume.labels.nbytes / 4
    assert np.array_equal(pickle.loads(packed).compute(scheduler="sync"), volume.labels)


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array that the volume lacks, and the library that is not installed."""
    with pytest.raises(BadInputError, match="no 'ignore'; it has image, labels"):
        _volume(None).as_dask("ignore")
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[cluster\]"):
        _volume(None).as_dask()
