"""Looking at a split: planes in true proportions, honest counts, a sheet, a page that is safe, files that are ours."""

import html
import importlib
import re
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import mitobench as mb
from mitobench.datasets import registry
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.reading import SPLITS
from mitobench.datasets.split import Split
from mitobench.datasets.synthetic import CARD
from mitobench.datasets.view import statistics, view_split
from mitobench.datasets.view.files import write_all
from mitobench.datasets.view.histogram import size_bins, size_histogram
from mitobench.datasets.view.panels import choose, draw_panels
from mitobench.datasets.view.planes import read_plane
from mitobench.errors import BadInputError, MissingExtraError, UnknownNameError
from mitobench.volume import Volume


def volume(shape: tuple[int, int, int] = (6, 24, 32), **changes: Any) -> Volume:
    """Grey noise with two boxes that touch, 1 and 2, in all slices."""
    rng = np.random.default_rng(3)
    labels = np.zeros(shape, np.uint16)
    rows, columns = shape[1] // 4, shape[2] // 8
    labels[:, rows : 2 * rows, columns : 2 * columns] = 1
    labels[:, rows : 2 * rows, 2 * columns : 4 * columns] = 2
    given: dict[str, Any] = {
        "name": "box",
        "image": rng.integers(60, 200, shape, dtype=np.uint8),
        "labels": labels,
        "label_kind": "instance",
        "voxel_size_nm": (30.0, 8.0, 8.0),
    }
    return Volume(**{**given, **changes})


def split_of(*volumes: Volume, card: Any = CARD, split: str = "test") -> Split:
    """Volumes as a split of the synthetic dataset, or of another card."""
    manifest = load_manifest("synthetic", None, SPLITS)
    return Split(split=split, card=card, manifest=manifest, volumes=volumes)


def page_of(split: Split, out: Path, **options: Any) -> str:
    """The page as written."""
    page = view_split(split, out=out, **options).page
    assert page is not None
    return page.read_text("utf-8")


def words_of(page: str) -> str:
    """What a reader sees: no tags, no entities, no style."""
    shown = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", shown)).split())


# planes


def test_planes_keep_true_proportions() -> None:
    """A pixel is equally many nm both ways, in sections with oblong voxels and in side views of thick sections."""
    seen = read_plane(volume((5, 20, 40), voxel_size_nm=(40.0, 8.0, 4.0)), axis="z", index=0, side=80)
    assert seen.grey.shape == (80, 80)  # 20 x 8 nm by 40 x 4 nm is a square
    assert seen.pixel_nm == pytest.approx(2.0)
    side = read_plane(volume((5, 20, 40), voxel_size_nm=(40.0, 8.0, 4.0)), axis="y", index=3, side=160)
    assert side.grey.shape == (160, 128)  # 5 x 40 nm deep, 160 nm wide
    same = read_plane(
        volume((5, 20, 40), voxel_size_nm=(10.0, 8.0, 4.0)), axis="y", index=3, side=80, pixel_nm=2.0
    )
    assert same.grey.shape == (25, 80)


def test_side_view_is_the_plane_it_says() -> None:
    """Rows are z, columns x, at that y; enlarged voxel by voxel."""
    box = volume((3, 10, 12), voxel_size_nm=(8.0, 8.0, 8.0))
    plane = read_plane(box, axis="y", index=2, side=24)
    np.testing.assert_array_equal(plane.grey, np.repeat(np.repeat(box.image[:, 2], 2, 0), 2, 1))
    np.testing.assert_array_equal(plane.ids, np.repeat(np.repeat(box.labels[:, 2], 2, 0), 2, 1))


def test_shrinking_averages_grey_and_keeps_ids() -> None:
    """Grey is the mean of what a pixel covers; ids are ids that are there, never a mix."""
    image = np.tile(np.array([[0, 200], [100, 100]], np.uint8), (1, 16, 16))
    labels = np.zeros((1, 32, 32), np.uint16)
    labels[0, :, :16], labels[0, :, 16:] = 7, 500
    plane = read_plane(volume((1, 32, 32), image=image, labels=labels), axis="z", index=0, side=16)
    assert (plane.grey == 100).all()
    assert plane.ids is not None
    assert set(plane.ids[0].tolist()) == {7, 500}


def test_large_slices_are_read_in_part(tmp_path: Path) -> None:
    """Drawing a slice of 16384 x 16384 pixels, cut from a wider one, takes less memory than a tenth of it."""
    shape = (1, 16384, 16400)
    arrays = [
        np.lib.format.open_memmap(tmp_path / f"{dtype}.npy", "w+", dtype=dtype, shape=shape)
        for dtype in ("uint8", "uint16", "bool")
    ]
    image, labels, ignore = (array[..., 8:-8] for array in arrays)
    large = Volume(
        name="large",
        image=image,
        labels=labels,
        label_kind="instance",
        voxel_size_nm=(8, 8, 8),
        ignore=ignore,
    )
    tracemalloc.start()
    plane = read_plane(large, axis="z", index=0, side=768)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert plane.grey.shape == (768, 768)
    assert peak < image.nbytes / 10


# counts


@pytest.mark.parametrize("slab_voxels", [1, 700, 10**9])
@pytest.mark.parametrize("largest_slice", [1, 10**9])
def test_counting_in_slabs_is_counting(
    monkeypatch: pytest.MonkeyPatch, slab_voxels: int, largest_slice: int
) -> None:
    """Sizes of ids and of connected pieces are those of the whole volume, wherever the slabs are cut."""
    monkeypatch.setattr(statistics, "SLAB_VOXELS", slab_voxels)
    monkeypatch.setattr(statistics, "LARGEST_SLICE", largest_slice)
    rng = np.random.default_rng(1)
    mask = ndimage.gaussian_filter(rng.random((7, 22, 25)), 1.0) > 0.52
    ignore = rng.random(mask.shape) < 0.1
    pieces, n_pieces = ndimage.label(mask & ~ignore)
    sizes = np.sort(np.bincount(pieces.reshape(-1))[1:])
    found = statistics.count_volume(
        volume(mask.shape, labels=mask.astype(np.uint8) * 255, label_kind="semantic", ignore=ignore)
    )
    assert found is not None
    assert found.sizes.tolist() == sizes.tolist()
    assert found.n_objects == n_pieces
    assert found.foreground_fraction == pytest.approx((mask & ~ignore).sum() / (~ignore).sum())
    ids = rng.integers(0, 9, mask.shape).astype(np.uint16) * 100
    found = statistics.count_volume(volume(mask.shape, labels=ids, label_kind="instance"))
    assert found is not None
    assert found.sizes.tolist() == sorted(np.unique(ids[ids > 0], return_counts=True)[1].tolist())
    assert found.ignored == 0


def test_empty_cases_are_said() -> None:
    """No labels: no counts. No objects: zero. Nothing that counts: undefined, not zero."""
    assert statistics.count_volume(volume(labels=None)) is None
    assert statistics.count_slice(volume(labels=None), 0) is None
    empty = statistics.count_volume(volume(labels=np.zeros((6, 24, 32), np.uint8)))
    assert empty is not None
    assert (empty.n_objects, empty.foreground_fraction) == (0, 0.0)
    nothing = statistics.count_volume(volume(ignore=np.ones((6, 24, 32), bool)))
    assert nothing is not None
    assert nothing.foreground_fraction is None


def test_slices_count_what_they_show() -> None:
    """Ids of instance labels; connected patches of semantic ones, so the two that touch are one."""
    box = volume()
    assert statistics.count_slice(box, 0) == 2
    assert statistics.count_slice(volume(label_kind="semantic"), 0) == 1


def test_bins_hold_every_size() -> None:
    """Each object falls into the bin whose edges say so, over many powers of ten too."""
    for sizes in (np.array([5.0]), np.geomspace(1e-6, 1e6, 200), np.array([0.01, 0.01, 0.1])):
        bins = size_bins(sizes)
        assert bins.counts.sum() == len(sizes)
        assert len(bins.counts) <= 24
        assert bins.edges[0] <= sizes.min() * (1 + 1e-9)
        assert bins.edges[-1] > sizes.max() * (1 - 1e-9)
    assert size_histogram(np.zeros(0), unit="µm³", label="none") == ""


# what is drawn


def test_side_view_goes_where_labels_are() -> None:
    """Cut where the middle section has most labels; through the middle without; none of a single slice."""
    box = volume((5, 40, 40))
    side = choose(box, slices=2).side
    assert side is not None
    assert box.labels is not None
    assert box.labels[2, side].any()
    unseen = np.zeros(box.shape, bool)
    unseen[:, : side + 5] = True
    other = choose(replace(box, ignore=unseen), slices=2).side
    assert other is not None
    assert other >= side + 5
    assert box.labels[2, other].any()
    assert choose(replace(box, labels=None), slices=2).side == 20
    assert choose(volume((1, 24, 32)), slices=4).side is None


def test_ignored_voxels_are_hatched_and_bar_stays_clear() -> None:
    """Hatching covers what is ignored, outlines the rest; under the scale bar nothing is drawn."""
    ignore = np.zeros((1, 64, 64), bool)
    ignore[:, :, 32:] = True
    box = volume((1, 64, 64), ignore=ignore)
    panel = next(draw_panels(box, choose(box, slices=1), side=256, gap=0, widest=512))
    assert panel.layer is not None
    opaque = panel.layer[..., 3]
    assert (opaque[:200, 130:] > 0).all()
    assert set(np.unique(opaque[:, :126])) == {0, 255}
    assert (panel.layer[-20:-14, -60:-20] == 0).all()
    striped = panel.overlaid[:200, 130:].astype(int).mean(axis=2)
    assert striped.std() > panel.image[:200, 130:].astype(int).mean(axis=2).std() * 0.4


def test_sheet_holds_every_panel(tmp_path: Path) -> None:
    """One PNG, marked as ours, with as many pictures as were asked for."""
    done = view_split(split_of(volume(), volume(name="other")), out=tmp_path, slices=3)
    assert done.sheet is not None
    with Image.open(done.sheet) as sheet:
        assert sheet.format == "PNG"
        assert sheet.info["Software"] == "mitobench view"
        assert sheet.width == 4 * 440 + 3 * 14 + 2 * 40  # three sections and a side view
        pixels = np.asarray(sheet)
    yellow = (pixels == (0xF0, 0xE4, 0x42)).all(axis=2)
    blue = (pixels == (0x56, 0xB4, 0xE9)).all(axis=2)
    vermilion = (pixels == (0xD5, 0x5E, 0x00)).all(axis=2)
    assert blue.any()
    assert vermilion.any()
    assert not yellow.any()  # no object has an id that is a multiple of three


# the page


def test_page_says_what_the_card_says(tmp_path: Path) -> None:
    """Every row of the card, every box of every split, the counts and the citation stand on it."""
    split = split_of(volume())
    shown = words_of(page_of(split, tmp_path))
    for label, value in split.card.rows():
        assert label in shown
        assert " ".join(value.split()) in shown
    for name in split.manifest.splits:
        assert f" {name} " in shown
    assert "16 to" not in shown.split("Where the splits lie")[0]
    assert "2 objects, foreground" in shown
    assert "Nothing was uploaded" in shown


def test_page_asks_for_nothing(tmp_path: Path) -> None:
    """No script, no address outside of links, a policy that forbids the rest; every picture has words."""
    page = page_of(split_of(volume()), tmp_path)
    assert "<script" not in page
    assert set(re.findall(r'src="([a-z]+:[a-z]+/)', page)) == {"data:image/"}
    assert not re.search(r"url\(", page)
    assert "default-src 'none'" in page
    pictures = re.findall(r"<img [^>]*>", page)
    assert len(pictures) >= 10
    for picture in pictures:
        assert re.search(r' alt="[^"]{10,}"', picture) or 'class="layer"' in picture


NASTY = '</style><script>alert(1)</script><img src=x onerror=alert(2)>" onload="alert(3)'


def test_strange_text_stays_text(tmp_path: Path) -> None:
    """Markup in a card or in a volume's name is shown, never run."""
    card = replace(
        CARD,
        title=NASTY,
        specimen=NASTY,
        citation=NASTY,
        known_flaws=(NASTY,),
        sources=(f"https://x.org/{NASTY}",),
    )
    page = page_of(split_of(volume(name=NASTY), card=card), tmp_path)
    assert "<script" not in page
    assert "onload=" not in page
    assert "onerror=" not in page
    assert NASTY in words_of(page.replace(html.escape(NASTY), "")) or "alert(1)" in words_of(page)
    assert page.count("</style>") == 1


@pytest.mark.parametrize("allowed", [True, False])
def test_page_and_sheet_say_who_may_see_them(tmp_path: Path, allowed: bool) -> None:
    """The card decides; both answers are said in words."""
    card = replace(CARD, licence=replace(CARD.licence, pixels_redistributable=allowed))
    shown = words_of(page_of(split_of(volume(), card=card), tmp_path))
    assert ("These pictures may be shown to others." in shown) == allowed
    assert ("Do not pass these pictures on." in shown) == (not allowed)


def test_unlabelled_volumes_have_no_switch_and_no_counts(tmp_path: Path) -> None:
    """Without labels the page says so, draws no layer and offers no switch for one."""
    page = page_of(split_of(volume(labels=None)), tmp_path)
    assert "no labels" in words_of(page)
    assert 'id="labels"' not in page
    assert 'class="layer"' not in page
    assert "histogram" not in page.split("</style>")[1]


def test_one_slice_is_measured_in_area(tmp_path: Path) -> None:
    """A single section has no side view, and sizes in µm²."""
    page = page_of(split_of(volume((1, 24, 32))), tmp_path)
    assert "side view" not in page
    assert "µm²" in words_of(page)
    assert "µm³" not in words_of(page)


def test_without_a_voxel_size_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, napari: list[tuple[str, dict[str, Any]]]
) -> None:
    """No bar, no extent, sizes in voxels: a stand-in of 1 nm never becomes a length."""
    monkeypatch.setattr("mitobench.datasets.view.panels.with_scale_bar", None)
    box = volume(voxel_size_nm=(1.0, 1.0, 1.0), voxel_size_known=False)
    shown = words_of(page_of(split_of(box), tmp_path))
    assert "6 × 24 × 32 voxels (z, y, x), voxel size not known" in shown  # noqa: RUF001
    assert "µm" not in shown
    view_split(split_of(box), out=tmp_path, napari=True)
    assert napari[1][1]["units"] == ("pixel",) * 3


def test_many_volumes_are_limited_with_a_note(tmp_path: Path) -> None:
    """A few, evenly spaced, and the page says of how many; names can be asked for."""
    split = split_of(*(volume((2, 24, 32), name=f"crop{n}") for n in range(20)))
    done = view_split(split, out=tmp_path, max_volumes=2, statistics=False)
    assert done.volumes == ("crop5", "crop15")
    assert "2 of the 20 volumes of this split are shown." in words_of(done.page.read_text())
    assert view_split(split, out=tmp_path, only=["crop7"]).volumes == ("crop7",)
    with pytest.raises(UnknownNameError, match="crop77"):
        view_split(split, out=tmp_path, only=["crop77"])
    with pytest.raises(BadInputError, match="slices is 0"):
        view_split(split, out=tmp_path, slices=0)


def test_progress_is_told(tmp_path: Path) -> None:
    """Counting and drawing report until all is done."""
    said: list[tuple[int, int, str]] = []
    view_split(split_of(volume()), out=tmp_path, progress=lambda *what: said.append(what))
    assert (6, 6, "counting box") in said
    assert said[-1] == (1, 1, "volumes drawn")


# files


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """A stranger's file stops everything before a byte is written; our own is replaced; --overwrite takes both."""
    split = split_of(volume())
    theirs = tmp_path / "synthetic@1.test.html"
    theirs.write_text("my notes")
    with pytest.raises(BadInputError, match="not written by"):
        view_split(split, out=tmp_path)
    assert theirs.read_text() == "my notes"
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]
    view_split(split, out=tmp_path, overwrite=True)
    first = theirs.read_bytes()
    view_split(split, out=tmp_path)
    assert theirs.read_bytes() == first
    theirs.unlink()
    theirs.mkdir()
    with pytest.raises(BadInputError, match="is a folder"):
        view_split(split, out=tmp_path, overwrite=True)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays whole, and nothing temporary stays; what a killed run left goes next time."""
    path = tmp_path / "a.html"
    write_all({path: b"old"})

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="disk full"):
            write_all({path: b"new"})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / ".a.html.1.tmp").write_bytes(b"n")
    write_all({path: b"new"})
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"new"


# napari


@pytest.fixture
def napari(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """A napari that writes down what it is told."""
    told: list[tuple[str, dict[str, Any]]] = []

    class Viewer:
        def __init__(self, **options: Any) -> None:
            told.append(("viewer", options))
            self.scale_bar = SimpleNamespace(visible=False)

        def add_image(self, data: Any, **options: Any) -> None:
            told.append(("image", {"data": data, **options}))

        def add_labels(self, data: Any, **options: Any) -> None:
            told.append(("labels", {"data": data, **options}))

    fake = SimpleNamespace(Viewer=Viewer, run=lambda: told.append(("run", {})))
    monkeypatch.setitem(sys.modules, "napari", fake)
    return told


def test_napari_gets_layers_at_scale(napari: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    """Image and labels at their size and place in nm, handed over unread; nothing is written."""
    box = volume(origin=(2, 10, 0))
    done = view_split(split_of(box, volume(name="other", labels=None)), out=tmp_path, napari=True)
    assert [what for what, _ in napari] == ["viewer", "image", "labels", "image"]
    image, labels, other = (options for _, options in napari[1:])
    assert image["data"] is box.image
    assert labels["data"] is box.labels
    assert image["scale"] == labels["scale"] == (30.0, 8.0, 8.0)
    assert image["translate"] == labels["translate"] == (60.0, 80.0, 0.0)
    assert (image["visible"], other["visible"]) == (True, False)
    assert done.viewer.scale_bar.visible
    assert list(tmp_path.iterdir()) == []


def test_missing_napari_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names napari and what to type."""
    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(MissingExtraError, match=r"napari.*pip install 'napari\[all\]"):
        split_of(volume()).view(napari=True)


# datasets


def test_public_name_draws_a_dataset(
    synthetic_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """mb.view fetches, draws and says where; Split.view is the same."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    done = mb.view("synthetic", "val", out=tmp_path / "a")
    assert done.page == tmp_path / "a" / "synthetic@1.val.html"
    again = mb.load_split("synthetic", "val").view(out=tmp_path / "b")
    assert again.page is not None
    assert again.page.read_bytes() == done.page.read_bytes()


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("vnc", "unlabelled"),
        ("vnc", "test"),
        ("kasthuri-pp", "train"),
        ("urocell", "test"),
        ("mitoem-r", "val"),
    ],
)
def test_fakes_are_drawn(
    key: str, what: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantic, instance, ignored and big-endian published forms all end on a page with the right number of objects."""
    fake = build_fake(key, tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {key: fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    split = mb.load_split(key, what, download=False)
    shown = words_of(page_of(split, tmp_path / "out"))
    for box in split:
        found = statistics.count_volume(box)
        if found is None:
            assert "no labels" in shown
            continue
        truth = np.asarray(box.labels) if box.label_kind == "instance" else ndimage.label(box.labels)[0]
        counted = truth if box.ignore is None else np.where(box.ignore, 0, truth)
        if box.label_kind == "instance" or box.ignore is None:
            assert found.n_objects == len(np.unique(counted[counted > 0]))
        assert f"{found.n_objects} " in shown
    assert ("hatched" in shown) == any(box.ignore is not None for box in split)


def build_fake(key: str, folder: Path) -> Any:
    """The fake of a dataset, or of one of a family."""
    family = key.split("-", 1)[0]
    if family in registry.FAMILIES:
        return importlib.import_module(f"fakes.{family}").build(folder, key)
    return importlib.import_module(f"fakes.{key.replace('-', '_')}").build(folder)


@pytest.mark.parametrize(("key", "pieces"), [("vnc", 24), ("cdeep3m", 64)])
def test_real_data_are_drawn(
    key: str,
    pieces: int,
    real_data_root: Path,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The published sets: as many connected pieces in test as scipy counts, pictures that may be shown."""
    monkeypatch.setenv("MITOBENCH_SOURCES", str(real_data_root))
    split = mb.load_split(key, "test", download=False)
    assert ndimage.label(np.asarray(split[0].labels))[1] == pieces
    shown = words_of(page_of(split, tmp_path))
    assert f"{pieces} connected pieces" in shown
    assert ("may be shown to others" in shown) == split.card.licence.pixels_redistributable
    for value in (split.card.specimen, split.card.citation):
        assert value in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("view", "synthetic", "--split", "tset"), "Did you mean 'test'"),
        (("view", "synthetic", "--only", "nothing"), "nothing"),
        (("view", "synthetic", "--target", "nucleus"), "nucleus"),
        (("view", "synthetic", "--slices", "0"), "slices is 0"),
    ],
)
def test_bad_words_get_one_message(
    words: tuple[str, ...],
    said: str,
    synthetic_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one sentence, no traceback, nothing written."""
    assert run(words, synthetic_root, tmp_path, monkeypatch) == 2
    error = capsys.readouterr().err
    assert said in error.replace("\n", " ")
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_command_writes_both_files(
    synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sheet and the page lie in the folder, and the command says so; --napari opens and runs napari instead."""
    assert (
        run(("view", "synthetic", "--out", "seen", "--slices", "2"), synthetic_root, tmp_path, monkeypatch)
        == 0
    )
    assert "seen/synthetic@1.test.html" in capsys.readouterr().err
    names = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert names == ["synthetic@1.test.html", "synthetic@1.test.png"]


def test_command_runs_napari(
    napari: list[tuple[str, dict[str, Any]]],
    synthetic_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--napari opens layers, keeps the window open and writes nothing."""
    assert run(("view", "synthetic", "--napari"), synthetic_root, tmp_path, monkeypatch) == 0
    assert napari[-1][0] == "run"
    assert list(tmp_path.iterdir()) == []


def run(words: tuple[str, ...], root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the program as its entry point does, in a folder."""
    from mitobench.cli import main

    monkeypatch.setenv("MITOBENCH_DATA", str(root))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["mitobench", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
