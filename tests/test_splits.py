"""Split manifests: no voxel in two splits, gaps that hold, strict files, old versions that stay loadable."""

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from mitobench.datasets.manifest import SplitManifest, load_manifest, manifest_keys, manifest_versions
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError, UnknownNameError

ALL = [(key, version) for key in manifest_keys(SPLITS) for version in manifest_versions(key, SPLITS)]
TRAIN_ONLY = {"cem-mitolab"}
"""Datasets that nobody scores on."""
NUMBERS = {"train": 1, "val": 2, "test": 3, "unlabelled": 4}


def painted(manifest: SplitManifest, name: str) -> np.ndarray:
    """A published volume with every voxel marked by the split that uses it; fails when two do.

    Planes are drawn with one cell for each stretch of y and x between the corners of boxes, which loses
    nothing. Along an axis of unknown length, boxes must run from end to end: one cell.
    """
    shape = manifest.volumes[name].shape
    boxes = [(split, box) for split, boxes in manifest.splits.items() for box in boxes if box.volume == name]
    corners = [
        {0, shape[axis]} | {end for _, box in boxes for end in (box.start[axis], box.stop[axis])}
        for axis in (1, 2)
    ]
    places = [
        range(shape[0] + 1) if shape[0] else [0, 0],
        *(sorted(found) if len(found) > 1 else [0, 0] for found in corners),
    ]
    owner = np.zeros([len(ends) - 1 for ends in places], np.uint8)
    for split, box in boxes:
        cells = []
        for ends, start, stop in zip(places, box.start, box.stop, strict=True):
            first = list(ends).index(start)
            cells.append(slice(first, list(ends).index(stop) or 1))
        cut = owner[tuple(cells)]
        assert not cut.any(), f"{split} takes voxels of another split of {name}"
        cut[...] = NUMBERS[split]
    return owner


@pytest.mark.parametrize(("key", "version"), ALL)
def test_no_voxel_is_in_two_splits(key: str, version: int) -> None:
    """Counted voxel by voxel, not by comparing corners."""
    manifest = load_manifest(key, version, SPLITS)
    for name in manifest.volumes:
        painted(manifest, name)


@pytest.mark.parametrize(("key", "version"), ALL)
def test_no_name_fits_two_boxes(key: str, version: int) -> None:
    """Whatever volumes come, each is in one split: beginnings of names are compared, not names that are known."""
    manifest = load_manifest(key, version, SPLITS)
    places = [(split, box.volume) for split, boxes in manifest.splits.items() for box in boxes]
    for (split, one), (other_split, other) in combinations(places, 2):
        starts = [name.removesuffix("*") for name in (one, other)]
        same = one == other
        if "*" in one:
            same = same or starts[1].startswith(starts[0])
        if "*" in other:
            same = same or starts[0].startswith(starts[1])
        assert not same or (split != other_split and "*" not in f"{one}{other}")


@pytest.mark.parametrize(("key", "version"), ALL)
def test_guard_gaps_hold(key: str, version: int) -> None:
    """Between slices of two splits of one volume lie at least as many unused slices as the manifest says."""
    manifest = load_manifest(key, version, SPLITS)
    assert manifest.guard_gap[0] > 0
    assert manifest.guard_gap[1:] == (0, 0), "write this test for in-plane gaps before using them"
    for name in manifest.volumes:
        owner = painted(manifest, name)
        per_slice = owner.reshape(len(owner), -1).max(axis=1)
        used = np.flatnonzero(per_slice)
        for before, after in pairwise(used):
            if per_slice[before] != per_slice[after]:
                assert after - before - 1 >= manifest.guard_gap[0]


@pytest.mark.parametrize(("key", "version"), ALL)
def test_every_manifest_has_what_a_benchmark_needs(key: str, version: int) -> None:
    """Test is there, and train where val is; the gallery shows slices of test volumes by the stated rule."""
    manifest = load_manifest(key, version, SPLITS)
    assert ("test" in manifest.splits) == (key not in TRAIN_ONLY)
    assert ("train" in manifest.splits) == ("val" in manifest.splits)
    for box in manifest.splits.get("test", ()):
        if not (n := box.shape[0]):
            assert box.volume_name not in manifest.gallery.slices, (
                "of unknown depth, so nothing can be chosen"
            )
            continue
        assert manifest.gallery.slices[box.volume_name] == (n // 4, 3 * n // 4)


def test_proposed_splits_are_the_ones_that_ship() -> None:
    """vnc: 12, 2 and 4 sections; cdeep3m: 15, 3 and 10; so other people's numbers can be compared."""
    z = {
        (key, split): [
            (box.volume, box.start[0], box.stop[0]) for box in load_manifest(key, 1, SPLITS).boxes(split)
        ]
        for key in ("vnc", "cdeep3m")
        for split in ("train", "val", "test")
    }
    assert z == {
        ("vnc", "train"): [("stack1", 0, 12)],
        ("vnc", "val"): [("stack1", 13, 15)],
        ("vnc", "test"): [("stack1", 16, 20)],
        ("cdeep3m", "train"): [("training", 0, 15)],
        ("cdeep3m", "val"): [("training", 17, 20)],
        ("cdeep3m", "test"): [("validation", 0, 10)],
    }


GOOD = """
schema = 1
dataset = "toy"
version = 1
label_version = "1"
why = "A test."
guard_gap = [1, 0, 0]
[volumes.a]
shape = [10, 8, 8]
image_sha256 = "{zeros}"
labels_sha256 = "{zeros}"
[[splits.train]]
volume = "a"
start = [0, 0, 0]
stop = [4, 8, 8]
[[splits.test]]
volume = "a"
start = [5, 0, 0]
stop = [10, 8, 8]
[gallery]
rule = "none"
slices = {{ a = [1] }}
""".format(zeros="0" * 64)


def load(folder: Path, text: str, name: str = "toy@1.toml") -> SplitManifest:
    (folder / name).write_text(text)
    return load_manifest("toy", None, folder)


def test_a_good_manifest_loads(tmp_path: Path) -> None:
    """The text that the broken ones below are made from is itself fine."""
    assert load(tmp_path, GOOD).boxes("test")[0].shape == (5, 8, 8)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("start = [5, 0, 0]", "start = [4, 0, 0]", "not .* voxels apart"),
        ("start = [5, 0, 0]", "start = [3, 0, 0]", "not .* voxels apart"),
        ("stop = [4, 8, 8]", "stop = [4, 8, 9]", "outside a"),
        ("stop = [4, 8, 8]", "stop = [0, 8, 8]", "empty"),
        ('why = "A test."', 'why = ""', "why"),
        ('why = "A test."', 'why = "A test."\nextra = 1', "extra"),
        ("schema = 1", "schema = 2", "schema"),
        ("shape = [10, 8, 8]", "shape = [10, 8]", "shape"),
        ("shape = [10, 8, 8]", "shape = [10, 8, 8.5]", "shape"),
        ("[[splits.test]]", "[[splits.dev]]", "splits"),
        ("version = 1\nlabel", 'version = "1"\nlabel', "version"),
        ('volume = "a"\nstart = [5', 'volume = "b"\nstart = [5', "no hashes for volume 'b'"),
        ("{ a = [1] }", "{ a = [5] }", "has 5 slices"),
        ("{ a = [1] }", "{ b = [1] }", "no volume 'b'"),
        ('image_sha256 = "0', 'image_sha256 = "x', "image_sha256"),
        ('labels_sha256 = "' + "0" * 64 + '"\n', "", "has no labels"),
        ('dataset = "toy"', 'dataset = "other"', "says it is other@1"),
        ("[gallery]", "[gallery", "not a valid split manifest"),
        ("start = [0, 0, 0]", "start = [-1, 0, 0]", "start"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Each fault is named; nothing is repaired silently."""
    assert old in GOOD
    with pytest.raises(FormatError, match=says):
        load(tmp_path, GOOD.replace(old, new, 1))


FAMILIES = """
schema = 1
dataset = "toy"
version = 1
label_version = "1"
why = "A test."
guard_gap = [1, 0, 0]
[volumes."train-*"]
shape = [0, 0, 0]
image_sha256 = "not known"
labels_sha256 = "not known"
[volumes."test-*"]
shape = [0, 0, 0]
image_sha256 = "not known"
labels_sha256 = "not known"
[[splits.train]]
volume = "train-*"
start = [0, 0, 0]
stop = [0, 0, 0]
[[splits.test]]
volume = "test-*"
start = [0, 0, 0]
stop = [0, 0, 0]
[gallery]
rule = "none"
slices = {}
"""


def test_families_are_taken_whole(tmp_path: Path) -> None:
    """Two families that cannot meet make two splits; nothing is pinned."""
    manifest = load(tmp_path, FAMILIES)
    assert [box.volume for box in manifest.boxes("test")] == ["test-*"]
    assert not manifest.pinned


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("test-*", "train-*", "train-"),
        ("test-*", "train-b*", "not .* voxels apart"),
        ("test-*", "t*", "not .* voxels apart"),
        ("test-*", "train-7", "not .* voxels apart"),
        ("[[splits.test]]", "[[splits.train]]", None),
        (
            "[gallery]",
            '[[splits.test]]\nvolume = "test-*"\nstart = [0,0,0]\nstop = [0,0,0]\n[gallery]',
            "same volume",
        ),
        (
            '"train-*"\nstart = [0, 0, 0]\nstop = [0, 0, 0]',
            '"train-*"\nstart = [0, 0, 0]\nstop = [4, 0, 0]',
            "taken whole",
        ),
        ('volume = "train-*"', 'volume = "train-*"\nname = "all"', "taken whole"),
        ("slices = {}", 'slices = { "test-*" = [1] }', "has 0 slices"),
    ],
)
def test_families_that_could_meet_are_refused(tmp_path: Path, old: str, new: str, says: str | None) -> None:
    """Also where no volume is known yet that fits both: the first download could bring one."""
    assert old in FAMILIES
    text = FAMILIES.replace(old, new) if old == "test-*" else FAMILIES.replace(old, new, 1)
    if says is None:
        assert [box.volume for box in load(tmp_path, text).boxes("train")] == ["train-*", "test-*"]
        return
    with pytest.raises(FormatError, match=says):
        load(tmp_path, text)


def test_an_axis_without_a_gap_keeps_nothing_apart(tmp_path: Path) -> None:
    """Boxes side by side in y do not count as separated when only z has a gap."""
    beside = GOOD.replace("stop = [4, 8, 8]", "stop = [10, 3, 8]").replace(
        "start = [5, 0, 0]", "start = [0, 5, 0]"
    )
    with pytest.raises(FormatError, match=r"not .* voxels apart"):
        load(tmp_path, beside)
    assert load(tmp_path, beside.replace("guard_gap = [1, 0, 0]", "guard_gap = [0, 2, 0]")).guard_gap == (
        0,
        2,
        0,
    )


def test_two_boxes_of_one_volume_need_names(tmp_path: Path) -> None:
    """Volumes of a split are told apart by name."""
    second = '[[splits.test]]\nvolume = "a"\nstart = [5, 0, 0]\nstop = [6, 8, 8]\n[gallery]'
    with pytest.raises(FormatError, match="unique"):
        load(tmp_path, GOOD.replace("[gallery]", second))
    named = second.replace('volume = "a"', 'volume = "a"\nname = "a-again"')
    assert [box.volume_name for box in load(tmp_path, GOOD.replace("[gallery]", named)).boxes("test")] == [
        "a",
        "a-again",
    ]


def test_the_newest_version_is_the_default_and_old_ones_stay(tmp_path: Path) -> None:
    """Version 10 is newer than 9, and both load."""
    for version in (2, 9, 10):
        text = GOOD.replace("version = 1\nlabel", f"version = {version}\nlabel")
        (tmp_path / f"toy@{version}.toml").write_text(text)
    assert manifest_versions("toy", tmp_path) == [2, 9, 10]
    assert load_manifest("toy", None, tmp_path).version == 10
    assert load_manifest("toy", 2, tmp_path).version == 2
    with pytest.raises(UnknownNameError, match="Known: 10, 2, 9"):
        load_manifest("toy", 1, tmp_path)


def test_hash_follows_what_decides_a_score(tmp_path: Path) -> None:
    """Comments, prose, line ends and the gallery do not change it; boxes, gaps and hashes do."""
    base = load(tmp_path, GOOD).sha256
    same = ["# note\n" + GOOD, GOOD.replace("A test.", "Other words."), GOOD.replace("a = [1]", "a = [2]")]
    assert {load(tmp_path, text).sha256 for text in same} == {base}
    (tmp_path / "toy@1.toml").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert load_manifest("toy", 1, tmp_path).sha256 == base
    other = [
        GOOD.replace("stop = [4,", "stop = [3,"),
        GOOD.replace("[1, 0, 0]", "[0, 0, 0]\n#").replace("[0, 0, 0]\n#", "[1, 1, 0]"),
        GOOD.replace("0" * 64, "1" * 64, 1),
        GOOD.replace('label_version = "1"', 'label_version = "2"'),
    ]
    hashes = [load(tmp_path, text).sha256 for text in other]
    assert base not in hashes
    assert all(a != b for a, b in combinations(hashes, 2))
