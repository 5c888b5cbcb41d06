"""Pictures of the objects that fit worst: which objects, which slice, where the prediction comes from, when none."""

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import site_fakes
from PIL import Image

from mitobench.benchmark.pages import local
from mitobench.benchmark.pages.local import LocalData, PredictedVolume, no_predictions
from mitobench.benchmark.pages.measurement import measurement_sections
from mitobench.benchmark.pages.picture_files import files_of
from mitobench.benchmark.pages.pictures import draw, list_drawings
from mitobench.benchmark.pages.worst import DRAWN, worst_pictures
from mitobench.benchmark.roots import label_root
from mitobench.components import components
from mitobench.errors import BadInputError, RecordError
from mitobench.site import PredictionsIn
from mitobench.volume import Volume

STEM = "fakeem@1.auto.0"


def _drawn(tmp_path: Path, entry: Any, data: LocalData, *, gallery: bool = True) -> str:
    record = entry.records[STEM]
    page = worst_pictures(
        record,
        found=entry.duels[STEM],
        gallery=entry.gallery[STEM] if gallery else None,
        volumes=data.volumes(record) or (),
        local=data,
        files=files_of(record, STEM, out=tmp_path, up="../"),
    )
    return html.unescape(page)


@pytest.fixture
def entry(tmp_path: Path) -> Any:
    """The made-up U-Net, which lost object 3."""
    return site_fakes.entries(tmp_path / "lb", only=("unet",))[0]


def test_the_lost_object_is_drawn_first(tmp_path: Path, entry: Any) -> None:
    """Four objects, four views each; the lost one first, and all of its pixels in the middle of the cut-out missed."""
    page = _drawn(tmp_path, entry, LocalData(site_fakes.volumes))
    assert page.index("block1, object 3, slice") < page.index("IoU of the object 0.000")
    assert page.count("<b>block1, object ") == DRAWN
    assert page.count("data-mb-compare") == DRAWN
    folder, shared = (tmp_path / "pictures" / name for name in (f"unet/{STEM}", "fakeem@1"))
    assert len(list(folder.glob("*.webp"))) == len(list(shared.glob("*.webp"))) == 2 * DRAWN
    assert {path.name.split(".")[2] for path in folder.glob("block1.object3.*")} == {"errors", "probability"}
    assert {path.name.split(".")[3] for path in shared.glob("*.object-*")} == {"tissue", "truth"}
    with Image.open(folder / "block1.object3.errors.webp") as picture:
        middle = np.asarray(picture.convert("RGB"))[picture.height // 2, picture.width // 2].astype(int)
    assert middle[0] - middle[2] > 30 or middle.max() < 60, "yellow, or a dark stripe of the hatching"


def test_slices_that_nobody_kept_are_not_drawn(tmp_path: Path, entry: Any) -> None:
    """Without gallery and prediction a sentence says so; with the prediction the slice in the middle is taken."""
    page = _drawn(tmp_path, entry, LocalData(site_fakes.volumes), gallery=False)
    assert "10 of the 10 objects that fit worst lie on no slice whose prediction was at hand" in page
    assert "<img" not in page
    labels, _ = site_fakes.predicted("unet")
    data = LocalData(site_fakes.volumes, lambda _: {"block1": PredictedVolume(labels=labels)})
    page = _drawn(tmp_path, entry, data, gallery=False)
    assert "block1, object 3, slice 2" in page
    assert "Probability" not in page
    assert "at hand" not in page


def test_no_volume_no_picture(tmp_path: Path, entry: Any) -> None:
    """Where the data are not on this machine, nothing is drawn; where the licence forbids it, no page asks for it."""
    assert _drawn(tmp_path, entry, LocalData(lambda *_: None)) == ""
    drawings = list_drawings(
        [entry],
        dataset_cards=site_fakes.dataset_cards(),
        volumes=site_fakes.volumes,
        predictions=no_predictions,
        out=tmp_path,
    )
    drawn = {key: parts for drawing in drawings for key, parts in draw(drawing).items()}
    sections = measurement_sections(entry, metric_cards={}, drawn=drawn)
    assert "".join(sections).count("Where it fits worst") == 1
    assert {path.parent.name for path in tmp_path.rglob("*.object*.webp")} == {STEM, "fakeem@1"}


def test_records_share_what_they_show_alike(tmp_path: Path) -> None:
    """Tissue and truth of an object lie there once for all entries; what each of them said, once for each."""
    made = site_fakes.entries(tmp_path / "lb", only=("unet", "threshold"))
    pages = [_drawn(tmp_path, one, LocalData(site_fakes.volumes)) for one in made]
    names = [set(re.findall('src="([^"]*/fakeem@1/[^"]*)"', page)) for page in pages]
    assert names[0] & names[1]
    assert len(list((tmp_path / "pictures" / "fakeem@1").iterdir())) == len(names[0] | names[1])
    shared = next((tmp_path / "pictures" / "fakeem@1").iterdir())
    shared.write_bytes(b"drawn before")
    _drawn(tmp_path, made[0], LocalData(site_fakes.volumes))
    assert shared.read_bytes() == b"drawn before"


def test_a_mask_is_numbered_as_it_was_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components in the connectivity of the record, once; a truth that is too large is left alone."""
    labels = np.zeros((2, 6, 6), np.uint8)
    labels[0, 0, 0] = labels[0, 1, 1] = labels[1, 4, 4] = 1
    volume = Volume(
        name="a", image=labels, labels=labels, label_kind="semantic", voxel_size_nm=(1.0, 1.0, 1.0)
    )
    data = LocalData(lambda *_: [volume])
    record = {
        "dataset": "d",
        "version": "1",
        "split": "test",
        "truth": {"kind": "semantic", "connectivity": 26},
    }
    ids = data.object_ids(record, volume)
    np.testing.assert_array_equal(ids, components(labels, connectivity=26))
    assert data.object_ids(record, volume) is ids
    other = {**record, "truth": {"kind": "semantic", "connectivity": 6}}
    np.testing.assert_array_equal(data.object_ids(other, volume), components(labels, connectivity=6))
    assert data.object_ids({**record, "truth": {"kind": "instance"}}, volume) is labels
    monkeypatch.setattr(local, "LARGEST", 71)
    assert LocalData(lambda *_: [volume]).object_ids(record, volume) is None
    assert data.object_ids(record, replace(volume, labels=None)) is None


def test_only_what_was_scored_is_shown(tmp_path: Path) -> None:
    """A folder of predictions is checked against the hash in the record."""
    from mitobench.datasets import load_split

    volume = load_split("synthetic", "test")[0]
    place = tmp_path / "net" / "synthetic@1.auto.0"
    place.mkdir(parents=True)
    labels = (np.asarray(volume.labels) != 0).astype(np.uint8)
    np.save(place / f"{volume.name}.npy", labels)
    record = {
        "model": "net",
        "dataset": "synthetic",
        "version": "1",
        "split": "test",
        "track": "auto",
        "seed": 0,
    }
    roots = {volume.name: label_root(labels, kind="semantic")}
    find = PredictionsIn(tmp_path)
    found = find({**record, "prediction": {"label_roots": roots}})
    assert found is not None
    np.testing.assert_array_equal(found[volume.name].labels[:], labels)
    with pytest.raises(RecordError, match=r"not those that net/synthetic@1\.auto\.0\.json scored"):
        find({**record, "prediction": {"label_roots": {volume.name: "0" * 64}}})
    assert find({**record, "model": "other", "prediction": {"label_roots": {}}}) is None
    with pytest.raises(BadInputError, match="no folder"):
        PredictionsIn(tmp_path / "nowhere")
