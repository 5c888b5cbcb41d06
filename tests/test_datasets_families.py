"""Families of volumes, labels of other structures, voxel sizes that nobody knows: from card to split to page."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Fake, betaseg, orgsegnet
from typer.testing import CliRunner

from mitobench.cli import app
from mitobench.datasets import fetch, list_datasets, load_card, load_split, registry
from mitobench.datasets.card import NO_VOXEL_SIZE, DatasetCard, Target, VolumeCard
from mitobench.datasets.reading import Dataset, RawVolume, SourceFiles
from mitobench.errors import BadInputError, UnknownNameError
from mitobench.site import dataset_facts


def use(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Register a fake under its key, with its archive as the only source."""
    monkeypatch.setattr(registry, "DATASETS", {fake.dataset.card.key: fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


@pytest.fixture
def plants(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Three families, three targets, no voxel size."""
    return use(orgsegnet.build(tmp_path / "fake"), monkeypatch)


@pytest.fixture
def cells(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Seven named volumes, one of which lacks a target."""
    return use(betaseg.build(tmp_path / "fake"), monkeypatch)


def test_members_of_a_family_come_in_natural_order(plants: Fake) -> None:
    """9 before 10, each whole, each under its own name, none of another family."""
    assert [volume.name for volume in load_split("orgsegnet", "train")] == [
        "train-leaf-9",
        "train-leaf-10",
        "train-root-3",
    ]
    assert [volume.name for volume in load_split("orgsegnet", "val")] == ["val-stem-1"]
    assert {volume.shape[0] for volume in load_split("orgsegnet", "test")} == {1}


def test_old_versions_of_families_stay_loadable(plants: Fake) -> None:
    """A second version that moves a family to another split leaves the first as it was, in one store."""
    folder = plants.dataset.splits_folder
    first = (folder / "orgsegnet@1.toml").read_text()
    second = first.replace("\nversion = 1", "\nversion = 2").replace("[[splits.val]]", "[[splits.train]]")
    (folder / "orgsegnet@2.toml").write_text(second)
    store = fetch("orgsegnet") / "store.json"
    before = store.stat().st_mtime_ns
    assert len(load_split("orgsegnet", "train")) == 4
    assert len(load_split("orgsegnet", "train", version=1)) == 3
    assert store.stat().st_mtime_ns == before


def test_an_unknown_target_lists_the_known_ones(plants: Fake, data_root: Path) -> None:
    """Before anything is fetched."""
    with pytest.raises(
        UnknownNameError, match="Known: chloroplast, mitochondrion, nucleus, vacuole"
    ) as error:
        load_split("orgsegnet", "train", target="nucleas")
    assert "Did you mean 'nucleus'" in str(error.value)
    assert not data_root.exists()
    no_others = replace(plants.dataset.card, targets=())
    with pytest.raises(UnknownNameError, match="Known: mitochondrion"):
        no_others.target("nucleus")


def test_a_volume_without_a_target_has_no_labels(cells: Fake) -> None:
    """Its image is there all the same; the others have theirs."""
    found = {
        volume.name: volume.labels is None for volume in load_split("betaseg", "train", target="centriole")
    }
    assert found == {"high-c3": False, "low-c1": True, "low-c2": False}
    assert all(volume.labels is not None for volume in load_split("betaseg", "train"))


def test_a_store_is_made_anew_when_targets_change(cells: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose card knows more labels, or fewer, does not take the store of another."""
    full = cells.dataset

    def fewer(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
        for raw in full.read(card, files):
            yield replace(raw, targets={key: raw.targets[key] for key in ("nucleus",)})

    small = Dataset(
        card=replace(full.card, targets=full.card.targets[:1]), read=fewer, splits_folder=full.splits_folder
    )
    for dataset, targets in ((small, 1), (full, 6), (small, 1)):
        monkeypatch.setattr(registry, "DATASETS", {"betaseg": dataset})
        index = json.loads((fetch("betaseg") / "store.json").read_text())
        assert len(index["volumes"]["high-c1"]["targets"]) == targets
        assert load_split("betaseg", "train", target="nucleus", download=False)[0].labels is not None


def test_a_card_takes_names_that_can_be_files() -> None:
    """Volumes and targets are part of file names; a family may end in a star and nowhere else have one."""
    family = VolumeCard(name="train-*", shape=(1, 0, 0), about_voxels=7, count=2)
    assert family.fits("train-a")
    assert not family.fits("test-a")
    assert family.n_voxels == 7
    for name in ("Train", "a/b", "*a", "", "a*b"):
        with pytest.raises(BadInputError, match="Volume"):
            VolumeCard(name=name, shape=(1, 1, 1))
    for key in ("mitochondrion", "Nucleus", "a b"):
        with pytest.raises(BadInputError, match="Target"):
            Target(key=key, label_kind="semantic", label_dtype="uint8", label_ids={0: "background"})


def test_the_card_of_a_volume_is_that_of_its_family(plants: Fake) -> None:
    """And what fits none is answered with all that there are."""
    card = plants.dataset.card
    assert card.volume("val-stem-1").name == "val-*"
    with pytest.raises(BadInputError, match=r"has no volume 'dev-1'. It has: train-\*, val-\*, test-\*"):
        card.volume("dev-1")


def test_a_family_of_datasets_is_answered_with_its_members() -> None:
    """The name that people know is no key; all keys that start so are."""
    with pytest.raises(
        UnknownNameError, match="'mitoem2' is a family; name one of it: mitoem2-beta, mitoem2-jurkat"
    ):
        load_card("mitoem2")
    with pytest.raises(UnknownNameError, match="Did you mean 'mitoem2-sperm'"):
        load_card("mitoem2-sperms")


def test_cards_tell_families_targets_and_plans() -> None:
    """What is not known is said in place, and numbers to plan with are not mistaken for facts."""
    rows = load_card("orgsegnet").rows()
    facts = dict(rows)
    assert facts["Volumes (z, y, x)"].startswith("train-* (541 volumes) 1 x ? x ?; val-*")
    assert [value for label, value in rows if label == "Other labels"] == [
        f"{key}: semantic, uint8, 0 = background, 1 = {key}" for key in ("chloroplast", "vacuole", "nucleus")
    ]
    assert facts["Download"].startswith("not known; ")
    assert facts["On disk"].startswith("not known; ")
    assert "how many: not known" in dict(load_card("mitoem2-podo").rows())["Volumes (z, y, x)"]
    assert "class-3: semantic, uint8, 0 = background, 1 = class 3 as published. One source" in "\n".join(
        value for _, value in load_card("platelet").rows()
    )


def test_the_command_line_gives_repeated_facts_as_lists() -> None:
    """Every flaw and every target, not only the last of them."""
    found = json.loads(CliRunner().invoke(app, ["datasets", "orgsegnet", "--json"]).stdout)
    card = load_card("orgsegnet")
    assert found["Known flaw"] == list(card.known_flaws)
    assert len(found["Other labels"]) == 3
    assert found["Shares tissue with"] == []
    assert found["Title"] == card.title


def test_the_site_says_what_a_family_is() -> None:
    """A box without corners reads as words, not as 0 to end."""
    assert dataset_facts("orgsegnet").splits[0] == (
        "1",
        "train",
        "train-*",
        "every volume of that name, whole",
        "1 x ? x ?",
    )


def test_no_voxel_size_is_no_number(plants: Fake) -> None:
    """The card, the table and the volume say so; a card cannot carry a number that nobody stated."""
    card = plants.dataset.card
    assert dict(card.rows())["Voxel size (z, y, x)"] == "not known"
    assert "scores in nm are left out" in dict(card.rows())["Voxel size note"]
    assert list_datasets().loc["orgsegnet", "voxel_size_nm"] == "not known"
    volume = load_split("orgsegnet", "test")[0]
    assert (volume.voxel_size_nm, volume.voxel_size_known) == (NO_VOXEL_SIZE, False)
    with pytest.raises(BadInputError, match="not known but"):
        replace(card, voxel_size_nm=(1.0, 5.0, 5.0))


def test_a_size_from_the_files_counts_where_the_card_has_none(
    plants: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One volume that states its own may be measured in nm, the others not."""

    def sized(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
        for raw in plants.dataset.read(card, files):
            yield replace(raw, voxel_size_nm=(1.0, 4.0, 4.0) if raw.name == "train-leaf-9" else None)

    monkeypatch.setattr(registry, "DATASETS", {"orgsegnet": replace(plants.dataset, read=sized)})
    known = [volume.voxel_size_known for volume in load_split("orgsegnet", "train")]
    assert known == [True, False, False]
