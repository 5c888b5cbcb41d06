"""Scoring that is killed goes on from what was counted, and gives the same bytes."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from benchmark_fakes import score, write_prediction
from scipy import ndimage

from mitobench.benchmark import journal
from mitobench.benchmark import score as scoring
from mitobench.benchmark.journal import Journal, VolumeNotes
from mitobench.metrics import stream
from mitobench.volume import LabelKind, Volume
from mitobench.workers import open_workers

SHAPE = (70, 20, 24)


def _volume(folder: Path, kind: LabelKind = "instance") -> Volume:
    """A truth on disk in five rows of chunks."""
    labels = ndimage.label(ndimage.gaussian_filter(np.random.default_rng(0).random(SHAPE), 1.3) > 0.51)[0]
    stored = zarr.create_array(
        store=folder / "truth.zarr", data=labels.astype(np.uint16), chunks=(16, 20, 24), overwrite=True
    )
    return Volume(
        name="a",
        image=np.zeros(SHAPE, np.uint8),
        labels=stored,
        label_kind=kind,
        voxel_size_nm=(30.0, 8.0, 8.0),
    )


def _prediction(folder: Path, volume: Volume, kind: LabelKind = "instance", shift: int = 1) -> Path:
    labels = np.roll(np.asarray(volume.labels[:]), shift, axis=2)
    return write_prediction(folder / f"p{kind}{shift}", {"a": labels}, kind=kind)


def _told(record: Any) -> tuple[dict[str, Any], dict[str, str]]:
    return {**record.to_dict(), "provenance": None}, record.files


class _Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "NOTED_VOXELS", 0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was noted; a run dies when the list holds as many as its first word says."""
    names: list[str] = []
    kept = VolumeNotes._write

    def write(self: VolumeNotes, what: str, arrays: Any) -> None:
        kept(self, what, arrays)
        names.append(what)
        if os.environ.get("DIE_AFTER") == str(len(names)):
            raise _Killed

    monkeypatch.setattr(VolumeNotes, "_write", write)
    monkeypatch.setattr(stream, "BLOCK_VOXELS", 1)
    monkeypatch.setattr("mitobench.benchmark.stream.BLOCK_VOXELS", 1)
    return names


@pytest.mark.parametrize("kind", ["instance", "semantic"])
def test_what_was_counted_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[str], kind: LabelKind
) -> None:
    """Killed after any note, the next run adds only those that lack, gives the same bytes and leaves none."""
    volume = _volume(tmp_path, kind)
    path = _prediction(tmp_path, volume, kind)
    whole = _told(score(path, [volume]))
    every: list[str] = []
    for moment in (1, 3, 6):
        monkeypatch.setenv("DIE_AFTER", str(moment))
        with pytest.raises(_Killed), open_workers(1) as crew:
            score(path, [volume], crew=crew, journal=tmp_path / "notes")
        monkeypatch.delenv("DIE_AFTER")
        before = counted.copy()
        assert len(before) == moment
        assert _told(score(path, [volume], journal=tmp_path / "notes")) == whole
        after = counted[moment:]
        assert set(before).isdisjoint(after)
        every = every or sorted(counted)
        assert sorted(counted) == every
        counted.clear()
        assert list((tmp_path / "notes").iterdir()) == []
    assert len(every) == 7


def test_notes_of_other_work_are_not_used(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other labels, another split or kind, and another scorer start afresh; old notes go at last."""
    volume = _volume(tmp_path)
    paths = [_prediction(tmp_path, volume, shift=shift) for shift in (1, 2)]
    asked = {"manifest": "a", "kind": "instance"}
    folders = [
        Journal(tmp_path / "notes", paths[0], asked).folder,
        Journal(tmp_path / "notes", paths[1], asked).folder,
        Journal(tmp_path / "notes", paths[0], {**asked, "kind": "semantic"}).folder,
    ]
    np.save(tmp_path / "a.npy", np.zeros(3))
    folders.append(Journal(tmp_path / "notes", tmp_path / "a.npy", asked).folder)
    np.save(tmp_path / "a.npy", np.zeros(4))
    folders.append(Journal(tmp_path / "notes", tmp_path / "a.npy", asked).folder)
    assert Journal(tmp_path / "notes", paths[0], asked).folder == folders[0]
    monkeypatch.setattr(journal, "scorer_sha256", lambda: "another")
    folders.append(Journal(tmp_path / "notes", paths[0], asked).folder)
    assert len(set(folders)) == 6
    for folder in folders[:5]:
        os.utime(folder, (0, 0))
    Journal(tmp_path / "notes", paths[0], asked)
    assert list((tmp_path / "notes").iterdir()) == [folders[5]]


def test_a_write_that_fails_leaves_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note is whole or not there."""
    notes = Journal(tmp_path, tmp_path / "p", {}).volume("a")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            notes.put_numbers("false", np.arange(3))
    assert notes.numbers("false") is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    notes.put_numbers("false", np.arange(3))
    assert np.array_equal(notes.numbers("false"), [0, 1, 2])


def test_any_workers_write_the_same_record_from_a_container(tmp_path: Path, crew: Any) -> None:
    """One core, threads, processes, a Dask cluster, with notes or without: the same table to the byte."""
    volume = _volume(tmp_path)
    path = _prediction(tmp_path, volume)
    whole = _told(score(path, [volume]))
    assert _told(score(path, [volume], crew=crew)) == whole
    assert _told(score(path, [volume], crew=crew, journal=tmp_path / "notes")) == whole


def test_small_splits_take_no_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scoring takes seconds, nothing is written."""
    volume = _volume(tmp_path)
    monkeypatch.setattr(scoring, "NOTED_VOXELS", 70 * 20 * 24 + 1)
    score(_prediction(tmp_path, volume), [volume], journal=tmp_path / "notes")
    assert not (tmp_path / "notes").exists()
