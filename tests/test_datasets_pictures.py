"""ProbTEM and OrgSegNet, sets of single pictures: which mask, which val, which class, and never a stretched mask."""

from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, build
from fakes.orgsegnet import grey_tiff, index_png
from fakes.probtem import colour_tiff, mask_png

from mitobench.datasets import fetch, load_split, registry, verify
from mitobench.datasets.pictures import read_grey, volume_name
from mitobench.errors import FetchError, FormatError


@pytest.fixture(params=["probtem", "orgsegnet"])
def key(request: pytest.FixtureRequest) -> str:
    """Each in turn, unless a test names one."""
    return str(request.param)


@pytest.fixture
def fake(key: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake, with its archive as source."""
    made = build(key, tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {key: made.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(made.archives))
    return made


def change(fake: Fake, **changed: bytes | None) -> None:
    """Change files, named by the end of their path; None = gone."""
    for end, data in changed.items():
        path = next(path for path in fake.archives.rglob("*") if path.as_posix().endswith(end))
        path.unlink()
        if data is not None:
            path.write_bytes(data)


@pytest.mark.parametrize("key", ["probtem"])
def test_grey_outlines_are_cut_at_half(fake: Fake) -> None:
    """Every pixel of a fake mask is grey, and opacity is solid: above zero, all of it would be mitochondrion."""
    for split in ("train", "test"):
        for volume in load_split("probtem", split):
            assert volume.labels is not None
            assert 0 < (volume.labels > 0).mean() < 0.5


@pytest.mark.parametrize("key", ["probtem"])
def test_val_is_every_seventh_in_natural_order(fake: Fake) -> None:
    """The fourth of x_1, x_2, ... is x_4; in an order of strings it would be x_12. No picture is in two splits."""
    names = {
        split: [volume.name for volume in load_split("probtem", split)] for split in ("train", "val", "test")
    }
    assert names["val"] == ["val-x-4", "val-x-11", "val-x-18"]
    assert (len(names["train"]), len(names["test"])) == (18, 6)
    assert not {name.removeprefix("train-") for name in names["train"]} & {"x-4", "x-11", "x-18"}


@pytest.mark.parametrize("key", ["probtem"])
@pytest.mark.parametrize("shape", [(31, 36), (8, 9), (16, 36), (64, 72)])
def test_a_mask_of_another_size_is_refused(fake: Fake, shape: tuple[int, int]) -> None:
    """Half the size is known of; anything else is not stretched to fit."""
    change(fake, **{"train/target/y_7.png": mask_png(np.zeros(shape, np.uint8), opacity=False)})
    with pytest.raises(FormatError, match=r"y_7\.png has shape .*exactly half"):
        fetch("probtem")


@pytest.mark.parametrize("key", ["probtem"])
@pytest.mark.parametrize(("end", "says"), [("x_7.tif", "has 20 pictures"), ("y_7.png", "has no mask .*y_7")])
def test_a_missing_file_is_named(fake: Fake, end: str, says: str) -> None:
    """Val is chosen by number, so a picture less would choose others."""
    change(fake, **{end: None})
    with pytest.raises(FormatError, match=says):
        fetch("probtem")


@pytest.mark.parametrize("key", ["orgsegnet"])
def test_classes_are_indices_and_two_is_mitochondrion(fake: Fake) -> None:
    """As colours, or as any class above zero, labels would differ."""
    mitochondria = load_split("orgsegnet", "train")[0].labels
    others = [
        load_split("orgsegnet", "train", target=target)[0].labels
        for target in ("chloroplast", "vacuole", "nucleus")
    ]
    assert all((np.asarray(mitochondria) & np.asarray(other)).sum() == 0 for other in others)
    assert [int(np.flatnonzero(np.asarray(other)[0].any(axis=1))[0]) for other in others] == [0, 1, 2]


@pytest.mark.parametrize("key", ["orgsegnet"])
@pytest.mark.parametrize(
    ("end", "data", "says"),
    [
        ("Leaf_9.png", mask_png(np.zeros((25, 26), np.uint8), opacity=False), "not colours"),
        ("Leaf_9.png", index_png(np.full((25, 26), 5, np.uint8)), "up to 5"),
        ("Leaf_9.png", None, "lists 'Leaf_9'"),
        ("Leaf_9.tif", None, "lists 'Leaf_9'"),
        ("test.txt", b"Leaf_9\n", "lists 'Leaf_9', which is listed before"),
        ("test.txt", b"../../etc/passwd\n", "lacks its image"),
        ("test.txt", b"\xff\xfe\n", "is no text"),
    ],
)
def test_lists_and_labels_are_not_trusted(fake: Fake, end: str, data: bytes | None, says: str) -> None:
    """Another release, a torn list, a picture in two splits: all are named."""
    change(fake, **{end: data})
    with pytest.raises(FormatError, match=says):
        fetch("orgsegnet")


def test_the_steps_by_hand_are_told(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the folder, the message says where it is and what to run; with it, that command works."""
    monkeypatch.delenv("MITOBENCH_SOURCES")
    monkeypatch.setattr("requests.Session.get", None)
    card = fake.dataset.card
    with pytest.raises(FetchError, match="by hand") as error:
        fetch(card.key)
    for words in ("https://", "in a browser", card.files[0].name, f"mitobench fetch {card.key} --from"):
        assert words in str(error.value)
    fetch(card.key, archives=fake.archives)
    assert verify(card.key).not_pinned


def test_grey_is_grey_in_any_number_of_channels() -> None:
    """One channel, three equal ones, opacity beside; channels that differ are no grey."""
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for data, name in (
        (grey_tiff(plane), "a.tif"),
        (colour_tiff(plane), "a.tif"),
        (mask_png(plane, opacity=True), "a.png"),
        (mask_png(plane, opacity=False), "a.png"),
    ):
        np.testing.assert_array_equal(read_grey(data, name), plane)
    import io

    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([plane, plane, plane + 1], -1), photometric="rgb")
    with pytest.raises(FormatError, match=r"a\.tif has 3 channels that differ"):
        read_grey(buffer.getvalue(), "a.tif")


def test_names_of_volumes_are_plain() -> None:
    """Whatever a file is called."""
    assert volume_name("train", "a/b/Leaf 10__(x).tif") == "train-leaf-10-x"
