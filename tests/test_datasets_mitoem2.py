"""MitoEM 2.0: splits from a file that is not trusted, the copy with classes refused, one case with reversed axes."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, mitoem2, write_zip
from fakes.urocell import nifti

from mitobench.datasets import DATASETS, fetch, load_card, load_split, registry
from mitobench.datasets.mitoem2 import CARDS
from mitobench.datasets.nnunet import read_cases
from mitobench.errors import FormatError

KEY = "mitoem2-jurkat"
TOP = "Dataset002_ME2-Jurkat"


@pytest.fixture
def jurkat(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The tissue with the reversed case, with its archive as source."""
    fake = mitoem2.build(tmp_path / "fake", KEY)
    monkeypatch.setattr(registry, "DATASETS", {KEY: fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


def change(fake: Fake, edit: Callable[[dict[str, bytes]], None]) -> None:
    """Write the archive again, changed."""
    with zipfile.ZipFile(fake.archive) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    edit(members)
    write_zip(fake.archive, members)


def test_every_tissue_is_a_dataset() -> None:
    """Eight keys, each with its archive."""
    assert set(CARDS) == {key for key in DATASETS if key.startswith("mitoem2-")}
    assert len(CARDS) == 8
    assert CARDS["mitoem2-stem"].files[0].urls[0].endswith("/Dataset008_ME2-Stem.zip")


def test_the_split_is_read_from_the_archive(jurkat: Fake) -> None:
    """Names tell split and case; a file that no list names is no volume."""
    assert [volume.name for volume in load_split(KEY, "train")] == [
        "train-me2-jurkat-train01",
        "train-me2-jurkat-train02",
    ]
    index = json.loads((fetch(KEY) / "store.json").read_text())
    assert set(index["volumes"]) == set(jurkat.truth)


def test_reversed_labels_are_turned_round(jurkat: Fake) -> None:
    """Read like all others they would have the shape of no image, or lie across it where sides are equal."""
    volume = load_split(KEY, "train")[1]
    image, labels = jurkat.truth["train-me2-jurkat-train02"]
    assert len({*image.shape}) == 3
    np.testing.assert_array_equal(volume.labels, labels)
    dark = image[np.asarray(volume.labels) > 0].mean()
    assert dark < image.mean() - 30


def test_reversed_labels_are_turned_round_in_a_cube(jurkat: Fake) -> None:
    """Where shapes cannot tell, the name of the case does."""
    ids = np.arange(1000, dtype=np.uint16).reshape(10, 10, 10)

    def edit(members: dict[str, bytes]) -> None:
        case = "me2-jurkat_train02"
        members[f"{TOP}/imagesTr/{case}_0000.nii.gz"] = nifti(np.zeros((10, 10, 10), np.float32))
        members[f"{TOP}/labelsTr/{case}.nii.gz"] = nifti(ids.transpose())

    change(jurkat, edit)
    np.testing.assert_array_equal(load_split(KEY, "train")[1].labels, ids)


def test_other_labels_are_never_turned_round(jurkat: Fake) -> None:
    """A second case of that kind is refused, not guessed."""

    def edit(members: dict[str, bytes]) -> None:
        name = f"{TOP}/labelsTr/me2-jurkat_train01.nii.gz"
        members[name] = nifti(jurkat.truth["train-me2-jurkat-train01"][1].transpose())

    change(jurkat, edit)
    with pytest.raises(FormatError, match=r"train01\.nii\.gz has shape .* its image .*train02 alone"):
        fetch(KEY)


def test_the_copy_with_a_dict_is_refused(jurkat: Fake) -> None:
    """Hugging Face: another form of the list, and classes instead of objects."""
    name = f"{TOP}/split.json"
    change(jurkat, lambda members: members.update({name: json.dumps(mitoem2.cases(KEY)).encode()}))
    with pytest.raises(FormatError, match=r"split\.json is one object.*Hugging Face.*Zenodo"):
        fetch(KEY)


def test_the_copy_with_classes_is_refused(jurkat: Fake) -> None:
    """Even with the right list: labels 0, 1 and 2 everywhere are classes; read as ids they join all objects."""

    def edit(members: dict[str, bytes]) -> None:
        for split, listed in mitoem2.cases(KEY).items():
            part = "Ts" if split == "test" else "Tr"
            for case in listed:
                ids = jurkat.truth[f"{split}-{case.replace('_', '-')}"][1]
                classes = np.where(ids > 0, 1 + (ids > 5), 0).astype(np.uint16)
                stored = classes.transpose() if case == "me2-jurkat_train02" else classes
                members[f"{TOP}/labels{part}/{case}.nii.gz"] = nifti(stored)

    change(jurkat, edit)
    with pytest.raises(FormatError, match=r"above 2.*classes.*Zenodo"):
        fetch(KEY)


FILES = [
    f"D/{kind}/{case}" for case in ("a_0000.nii.gz", "b_0000.nii.gz") for kind in ("imagesTr", "imagesTs")
] + [f"D/{kind}/{case}" for case in ("a.nii.gz", "b.nii.gz") for kind in ("labelsTr", "labelsTs")]


def cases(split_file: object) -> list[str]:
    """Names of the cases of such a file."""
    data = split_file if isinstance(split_file, bytes) else json.dumps(split_file).encode()
    return [case.name for case in read_cases(data, "D/split.json", folder="D", members=[*FILES, *MORE])]


MORE = [
    "D/imagesTr/c_1_0000.nii.gz",
    "D/labelsTr/c_1.nii.gz",
    "D/imagesTr/C-1_0000.nii.gz",
    "D/labelsTr/C-1.nii.gz",
]


def test_a_right_list_is_read() -> None:
    """Upper case and underscores become what names may hold."""
    assert cases([{"train": ["C-1"], "val": ["a"], "test": ["b"]}]) == ["train-c-1", "val-a", "test-b"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b" " * (2 << 20), "bytes"),
        ({"train": ["a"], "val": ["b"], "test": ["b"]}, "Hugging Face"),
        ([], "another form"),
        ([1], "another form"),
        ([{"train": ["a"], "val": ["b"], "test": ["b"]}] * 2, "another form"),
        ([{"train": ["a"], "val": ["b"]}], "another form"),
        ([{"train": ["a"], "val": [], "test": ["b"]}], "another form"),
        ([{"train": "a", "val": ["b"], "test": ["b"]}], "another form"),
        ([{"train": [1], "val": ["b"], "test": ["b"]}], "lists the case 1"),
        ([{"train": ["../a"], "val": ["b"], "test": ["b"]}], "lists the case"),
        ([{"train": ["a" * 5000], "val": ["b"], "test": ["b"]}], "lists the case"),
        ([{"train": ["x"], "val": ["b"], "test": ["b"]}], "lacks D/imagesTr/x_0000"),
        ([{"train": ["a"], "val": ["b"], "test": ["a"]}], "one split only"),
        ([{"train": ["a", "a"], "val": ["b"], "test": ["b"]}], "one split only"),
        ([{"train": ["c_1", "C-1"], "val": ["a"], "test": ["b"]}], "one split only"),
    ],
)
def test_a_wrong_list_is_refused(wrong: object, says: str) -> None:
    """It comes from somebody else, decides what is test, and names files: nothing in it is assumed."""
    with pytest.raises(FormatError, match=says) as error:
        cases(wrong)
    assert len(str(error.value)) < 500


def test_what_is_special_stands_on_the_cards() -> None:
    """Twins, the voxel size that sources dispute, ids that do not run on."""
    stem = load_card("mitoem2-stem")
    assert not stem.voxel_size_known
    assert "30 x 8 x 8" in stem.voxel_size_note
    assert "40 x 15 x 15" in stem.voxel_size_note
    assert load_card("mitoem2-beta").overlaps == ("betaseg",)
    assert set(load_card("mitoem2-pyra").shares) >= {"mitoem-r", "mitoem-h"}
    assert set(load_card("mitoem2-jurkat").shares) == set(load_card("mitoem2-macro").shares) == {"cellmap"}
    assert any("another number" in flaw for flaw in load_card("mitoem2-sperm").known_flaws)
    assert {key: card.voxel_size_nm for key, card in CARDS.items() if card.voxel_size_known} == {
        **dict.fromkeys(
            [f"mitoem2-{name}" for name in ("beta", "jurkat", "macro", "podo", "sperm")], (16, 16, 16)
        ),
        **dict.fromkeys(["mitoem2-mossy", "mitoem2-pyra"], (30, 8, 8)),
    }
