"""Conversion: the same bytes whoever does the work, every slice once, and what is resumed after a kill."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiles
from tiles import Tiles

from mitobench.arrays import sha256_of_array
from mitobench.datasets import convert, fetch, load_split, registry, verify
from mitobench.datasets.archives import Published
from mitobench.datasets.reading import Piece
from mitobench.datasets.reopening import Reopening
from mitobench.datasets.store import parse_index
from mitobench.errors import BadInputError, FetchError, IntegrityError, ShapeError, WorkerError


@pytest.fixture
def toy(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Tiles:
    """The toy dataset, registered, with its archive as source."""
    return use(tiles.build(tmp_path / "toy"), monkeypatch)


def use(toy: Tiles, monkeypatch: pytest.MonkeyPatch) -> Tiles:
    """Register it."""
    monkeypatch.setattr(registry, "DATASETS", {"tiles": toy.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(toy.archive.parent))
    return toy


def contents(folder: Path) -> dict[str, bytes]:
    """{name: bytes} of every file."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check(toy: Tiles) -> None:
    """What loads is what was published."""
    (stack,) = load_split("tiles", "train")
    for found, what in ((stack.image, "image"), (stack.labels, "labels"), (stack.ignore, "ignore")):
        np.testing.assert_array_equal(found, toy.truth["stack"][what])
    (nuclei,) = load_split("tiles", "train", target="nucleus")
    np.testing.assert_array_equal(nuclei.labels, toy.truth["stack"]["labels-nucleus"])
    loaded = load_split("tiles", "test")
    assert [volume.name for volume in loaded] == [name for name in toy.truth if name != "stack"]
    for volume in loaded:
        np.testing.assert_array_equal(volume.image, toy.truth[volume.name]["image"])
        np.testing.assert_array_equal(volume.labels, toy.truth[volume.name]["labels"])
        assert volume.labels.dtype == np.uint16


# The same bytes


def test_threads_processes_and_a_cluster_write_the_same_bytes(
    toy: Tiles, tmp_path: Path, cluster_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays and store.json, byte by byte."""
    monkeypatch.setattr(convert, "BATCH_PIECES", 3)
    crews = {"one": {"workers": 1}, "threads": {}, "processes": {"workers": 2}}
    crews["cluster"] = {"scheduler": cluster_address}
    found = {
        name: contents(fetch("tiles", root=tmp_path / name, **options)) for name, options in crews.items()
    }
    assert len(found["one"]) == 7
    for name in crews:
        assert found[name] == found["one"], name
    verify("tiles", root=tmp_path / "cluster")


def test_a_cluster_that_does_not_see_the_folder_is_told(
    toy: Tiles, data_root: Path, cluster_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine without the shared file system; nothing that was finished is dropped."""

    def elsewhere(opener, room, batch):
        return write_batch(opener, room, replace(batch, path=Path("/not/shared") / batch.path.name))

    write_batch = convert.write_batch
    monkeypatch.setattr(convert, "write_batch", elsewhere)
    with pytest.raises(WorkerError, match=r"does not see /not/shared.*same paths"):
        fetch("tiles", workers=1)
    assert (data_root / "tiles@1" / ".conversion.jsonl").exists()


def test_nonsense_workers_are_refused_before_work(toy: Tiles, data_root: Path) -> None:
    """Also through fetch."""
    with pytest.raises(BadInputError, match="workers is -1"):
        fetch("tiles", workers=-1)


def test_other_processes_open_the_files_without_hashing_them_again(
    toy: Tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once per process and run; a file that has changed since is hashed, and refused."""
    places = {toy.dataset.card.files[0]: toy.archive}
    with Published(places) as files:
        known = files.known
    monkeypatch.setattr("mitobench.datasets.filestate.hash_file", None)
    there = pickle.loads(pickle.dumps(Reopening(run="a", places=places, scratch=tmp_path, known=known)))
    name = there().names("data/*")[0]
    assert there().read(name)
    assert there() is Reopening(run="a", places=places, scratch=tmp_path, known=known)()
    toy.archive.write_bytes(toy.archive.read_bytes()[:-1] + b"x")
    monkeypatch.undo()
    with pytest.raises(IntegrityError, match="tiles"):
        Reopening(run="b", places=places, scratch=tmp_path, known=known)()


# Packed families


def test_a_family_is_one_file_per_kind(toy: Tiles) -> None:
    """Tiles of two shapes lie one after the other in a flat .npy file that any tool reads."""
    folder = fetch("tiles")
    assert sorted(path.name for path in folder.glob("tile*")) == [
        "tile.pack.image.npy",
        "tile.pack.labels.npy",
    ]
    flat = np.load(folder / "tile.pack.labels.npy")
    every = [arrays["labels"].ravel() for name, arrays in toy.truth.items() if name != "stack"]
    np.testing.assert_array_equal(flat, np.concatenate(every))
    index = json.loads((folder / "store.json").read_text())
    second = index["volumes"]["tile-00001"]
    assert second["labels"]["first"] == 5 * 7
    assert second["labels"]["array_sha256"] == sha256_of_array(toy.truth["tile-00001"]["labels"])
    check(toy)


def test_thousands_of_volumes_share_two_maps(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map per volume would meet the system's limit of maps, and a file per volume nobody wants to copy."""
    toy = use(tiles.build(tmp_path / "toy", n_tiles=3000, shapes=((1, 3, 4), (1, 2, 5))), monkeypatch)
    folder = fetch("tiles")
    assert len(list(folder.iterdir())) == 7
    check(toy)
    loaded = load_split("tiles", "test")
    assert len({id(_map(array)) for volume in loaded for array in (volume.image, volume.labels)}) == 2
    assert len(verify("tiles").files) == 6


def _map(array: np.ndarray) -> object:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base


def test_one_wrong_tile_among_many_is_named(toy: Tiles) -> None:
    """By its volume; the others are well."""
    folder = fetch("tiles")
    index = json.loads((folder / "store.json").read_text())
    index["volumes"]["tile-00007"]["image"]["array_sha256"] = "0" * 64
    (folder / "store.json").write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match=r"tile\.pack\.image\.npy: tile-00007 decodes to") as caught:
        verify("tiles")
    assert str(caught.value).count("decodes to") == 1


def test_patches_of_packed_volumes(toy: Tiles) -> None:
    """A patch dataset over a family gathers from the right tiles, and maps each file once in a worker process too."""
    fetch("tiles")
    patches = load_split("tiles", "test").patches(patch_shape=(4, 4), stride=(8, 8), edge="drop")
    there = pickle.loads(pickle.dumps(patches))
    assert len({id(_map(array)) for array in there._images}) == 1
    for dataset in (patches, there):
        assert len(dataset) == 20
        for sample in dataset:
            z, y, x = sample["origin"]
            truth = toy.truth[sample["volume"]]["image"][z, y : y + 4, x : x + 4]
            np.testing.assert_array_equal(np.asarray(sample["image"])[0], truth)


# Every slice once


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pieces: pieces[:-1], r"stack\.image: no piece gives slice 0 of"),
        (lambda pieces: pieces[1:], r"stack\.image: 11 slices came, .* no piece gives slice 11 of"),
        (lambda pieces: pieces[:3] + pieces[5:], r"8 slices?.*|7 slices came, .* gives slices 7 to 8 of"),
        (lambda pieces: [*pieces, pieces[3]], r"two pieces give slice 8 of"),
        (lambda pieces: [*pieces, replace(pieces[0], start=12)], r"starts at slice 12, past the end"),
        (lambda pieces: [doubled(pieces[4]), *pieces[:4], *pieces[5:]], r"slice 8 are given by two pieces"),
        (lambda pieces: [doubled(pieces[0]), *pieces[1:]], r"slice 12 lie past the end"),
        (lambda pieces: [], r"no piece gives slices 0 to 11 of"),
    ],
)
def test_slices_that_are_missing_or_given_twice_are_named(
    toy: Tiles, data_root: Path, monkeypatch: pytest.MonkeyPatch, change, says: str
) -> None:
    """Nothing is guessed, overwritten or left empty."""

    def read(card, files):
        for raw in toy.dataset.read(card, files):
            yield replace(raw, image=change(list(raw.image))) if raw.name == "stack" else raw

    monkeypatch.setattr(registry, "DATASETS", {"tiles": replace(toy.dataset, read=read)})
    with pytest.raises(ShapeError, match=says):
        fetch("tiles")
    assert not list((data_root / "tiles@1").iterdir())


def doubled(piece: Piece) -> Piece:
    """The same slice twice in a row."""
    return replace(piece, read=lambda files: np.stack([piece.read(files)] * 2))


def test_a_volume_that_comes_twice_is_refused(toy: Tiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """One would overwrite the other."""

    def read(card, files):
        yield from toy.dataset.read(card, files)
        yield next(toy.dataset.read(card, files))

    monkeypatch.setattr(registry, "DATASETS", {"tiles": replace(toy.dataset, read=read)})
    with pytest.raises(IntegrityError, match="gave stack twice"):
        fetch("tiles")


def test_a_shape_that_the_card_knows_otherwise_is_refused(
    toy: Tiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the reader says so, or the files."""
    stack, family = toy.dataset.card.volumes
    for volumes, says in (
        ((stack, replace(family, shape=(2, 0, 0))), r"tile-00000: the image has shape \(1, 5, 7\)"),
        ((replace(stack, shape=(0, 16, 21)), family), r"stack: the image has shape \(12, 16, 20\)"),
    ):
        card = replace(toy.dataset.card, volumes=volumes)
        monkeypatch.setattr(registry, "DATASETS", {"tiles": replace(toy.dataset, card=card)})
        with pytest.raises(ShapeError, match=says):
            fetch("tiles")


# Going on


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gets one line per piece that is read."""
    monkeypatch.setenv("TILES_LOG", str(tmp_path / "log"))
    monkeypatch.setattr("mitobench.datasets.pieces.BATCH_PIECES", 3)
    return tmp_path / "log"


class Killed(BaseException):
    """Stands for what no code can catch."""


def stopped_after(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch until n pieces have been read, then stop dead."""
    with monkeypatch.context() as patch:
        plane, count = tiles._plane, 0

        def reading(*arguments):
            nonlocal count
            count += 1
            if count > n:
                raise Killed
            return plane(*arguments)

        patch.setattr(tiles, "_plane", reading)
        with pytest.raises(Killed):
            fetch("tiles", workers=1)


def reads(log: Path) -> int:
    """Pieces read since the last call."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return len(lines)


def journaled(folder: Path) -> int:
    """Pieces that the journal knows as finished."""
    text = (folder / ".conversion.jsonl").read_text()
    return sum(len(json.loads(line).get("at", ())) for line in text.splitlines() if line.endswith("}"))


def test_finished_pieces_are_not_read_again(
    tmp_path: Path, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are shapes that had to be measured; the result is that of an undisturbed run."""
    toy = use(tiles.build(tmp_path / "toy"), monkeypatch)
    whole = contents(fetch("tiles", root=tmp_path / "whole"))
    assert reads(log) == toy.n_pieces + 20
    stopped_after(20 + 50, monkeypatch)
    assert reads(log) == 20 + 50
    done = journaled(data_root / "tiles@1")
    assert 40 < done <= 50
    assert contents(fetch("tiles")) == whole
    assert reads(log) == toy.n_pieces - done


def test_a_torn_line_and_all_after_it_do_not_count(
    toy: Tiles, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill inside the journal itself."""
    stopped_after(20 + 50, monkeypatch)
    journal = data_root / "tiles@1" / ".conversion.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-4]) + lines[-4][:-9])
    done = journaled(journal.parent)
    reads(log)
    stopped_after(30, monkeypatch)
    fetch("tiles")
    assert reads(log) < toy.n_pieces - done + 10
    verify("tiles")
    check(toy)


def test_a_kill_between_the_names_and_the_index_costs_no_reading(
    toy: Tiles, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All arrays have their names, store.json is not there yet."""

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(convert, "_finish", killed)
        with pytest.raises(Killed):
            fetch("tiles")
    reads(log)
    fetch("tiles")
    assert reads(log) == 0
    verify("tiles")
    check(toy)


def test_another_source_is_never_mixed_in(
    toy: Tiles, tmp_path: Path, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that changed between the kill and the next run starts over."""
    stopped_after(20 + 50, monkeypatch)
    other = use(tiles.build(tmp_path / "other", seed=9), monkeypatch)
    reads(log)
    fetch("tiles")
    assert reads(log) == other.n_pieces + 20
    check(other)


@pytest.mark.parametrize("what", ["part", "cut part"])
def test_a_part_that_is_gone_is_made_again(
    toy: Tiles, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Somebody tidied up; the journal alone proves nothing."""
    stopped_after(20 + 50, monkeypatch)
    (part,) = (data_root / "tiles@1").glob(".stack.image.npy.*.part")
    if what == "part":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-1])
    fetch("tiles")
    verify("tiles")
    check(toy)


def test_disk_space_counts_what_is_there_already(
    toy: Tiles, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of the killed run are no new need; what the card does not know is counted before it is written."""
    needs: list[int] = []
    monkeypatch.setattr(convert, "check_disk", lambda folder, needed: needs.append(needed))
    stopped_after(20 + 50, monkeypatch)
    fetch("tiles")
    files = json.loads((data_root / "tiles@1" / "store.json").read_text())["files"]
    assert needs[0] == sum(file["n_bytes"] for file in files.values())
    assert needs[1] < needs[0]


def test_a_full_disk_keeps_what_is_finished(
    toy: Tiles, data_root: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to do, and the next run goes on."""
    plane, count = tiles._plane, 0

    def full(*arguments):
        nonlocal count
        count += 1
        if count > 70:
            raise OSError(28, "No space left on device")
        return plane(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tiles, "_plane", full)
        with pytest.raises(FetchError, match=r"is full\. Make room and run again"):
            fetch("tiles", workers=1)
    done = journaled(data_root / "tiles@1")
    reads(log)
    fetch("tiles")
    assert done > 40
    assert reads(log) == toy.n_pieces - done


# Other stores


def test_a_store_of_the_first_schema_is_still_read(toy: Tiles, data_root: Path) -> None:
    """Length and hash of a file stood with each array."""
    folder = fetch("tiles")
    text = (folder / "store.json").read_text()
    old = json.loads(text)
    files = old.pop("files")
    old["schema_version"] = 1
    old["volumes"] = {"stack": old["volumes"]["stack"]}
    stack = old["volumes"]["stack"]
    for array in (stack["image"], stack["labels"], stack["ignore"], *stack["targets"].values()):
        del array["first"]
        array.update(files[array["file"]])
    read = parse_index(json.dumps(old))
    assert read.volumes["stack"] == parse_index(text).volumes["stack"]
    assert read.files == {name: file for name, file in parse_index(text).files.items() if "stack" in name}
    for broken in ("{", "[]", '{"schema_version": 3}', json.dumps({**old, "volumes": {"a": {}}})):
        with pytest.raises(ValueError, match=r"."):
            parse_index(broken)


def test_a_store_without_the_targets_of_the_card_is_made_again(
    toy: Tiles, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And files that no store.json names any more go."""
    bare = replace(toy.dataset.card, targets=())
    monkeypatch.setattr(registry, "DATASETS", {"tiles": replace(toy.dataset, card=bare)})
    folder = fetch("tiles")
    assert not (folder / "stack.labels-nucleus.npy").exists()
    (folder / "old.image.npy").write_bytes(b"of an older store")
    use(toy, monkeypatch)
    check(toy)
    assert (folder / "stack.labels-nucleus.npy").exists()
    assert not (folder / "old.image.npy").exists()


def test_a_moved_store_is_complete(toy: Tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in it are relative."""
    shutil.move(fetch("tiles").parent, tmp_path / "moved")
    monkeypatch.setenv("MITOBENCH_DATA", str(tmp_path / "moved"))
    monkeypatch.delenv("MITOBENCH_SOURCES")
    check(toy)
