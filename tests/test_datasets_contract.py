"""What every dataset keeps: a whole card, and a fake that goes from archive to Hugging Face and back.

A dataset is in here because it has a split manifest; nothing has to be registered.
"""

import itertools
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, build

from mitobench.arrays import natural_key
from mitobench.datasets import (
    DATASETS,
    fetch,
    list_datasets,
    load_card,
    load_manifest,
    load_split,
    registry,
    verify,
)
from mitobench.datasets.archives import Published
from mitobench.datasets.card import MAIN_TARGET, NO_VOXEL_SIZE, NOT_PINNED
from mitobench.datasets.reading import SPLITS
from mitobench.datasets.remote import NOT_KNOWN

KEYS = sorted(DATASETS)
DOWNLOADED = [key for key in KEYS if DATASETS[key].card.files]
PROMISED = {
    *("lucchi", "lucchi-pp", "kasthuri-pp", "mitoem-r", "mitoem-h", "vnc", "urocell", "cdeep3m"),
    *("mitonet-c-elegans", "mitonet-fly-brain", "mitonet-glycolytic-muscle", "mitonet-hela-cell"),
    *("mitonet-salivary-gland", "mitonet-lucchi-pp", "platelet", "betaseg", "probtem", "orgsegnet"),
    *("mitoem2-beta", "mitoem2-jurkat", "mitoem2-macro", "mitoem2-mossy", "mitoem2-podo", "mitoem2-pyra"),
    *(
        "mitoem2-sperm",
        "mitoem2-stem",
        "deepcontact",
        "cem-mitolab",
        "tnbc",
        "cellmap",
        "asem",
        "mitonet-tem",
    ),
}
"""Datasets that must never go missing."""

Box = tuple[str, tuple[slice, ...]]


@pytest.fixture(scope="module", params=KEYS)
def fake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    """One dataset after another, as its fake, fetched from the folder of its archives and nothing else."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        made = build(request.param, folder / "fake")
        patch.setattr(registry, "DATASETS", {request.param: made.dataset})
        patch.setattr("requests.Session.get", None)
        patch.setenv("MITOBENCH_DATA", str(folder / "data"))
        patch.setenv("MITOBENCH_SOURCES", str(made.archives))
        patch.delenv("MITOBENCH_AGREE", raising=False)
        fetch(request.param)
        yield made


def boxes(fake: Fake, split: str) -> list[Box]:
    """(volume, where) of every box of a split; a family gives its members in natural order."""
    card = fake.dataset.card
    found: list[Box] = []
    for box in load_manifest(card.key, None, fake.dataset.splits_folder).boxes(split):
        family = [
            name for name in fake.truth if box.volume.endswith("*") and name.startswith(box.volume[:-1])
        ]
        names = sorted(family, key=natural_key) if box.volume.endswith("*") else [box.volume]
        cut = tuple(slice(start, stop or None) for start, stop in zip(box.start, box.stop, strict=True))
        found += [(name, cut) for name in names]
    return found


def splits(fake: Fake) -> list[str]:
    """Names of the splits."""
    return list(load_manifest(fake.dataset.card.key, None, fake.dataset.splits_folder).splits)


def test_every_listed_dataset_is_held_to_this_contract() -> None:
    """The table is complete, its columns are the promised ones, and none of those once shipped is gone."""
    table = list_datasets()
    assert sorted(table.index) == KEYS
    assert set(KEYS) >= PROMISED
    promised = {"tissue", "modality", "shape", "voxel_size_nm", "licence", "download_mb", "splits"}
    assert promised | {"non_commercial", "targets", "download_known"} <= set(table.columns)
    assert table.loc["vnc", "targets"] == "membrane, synapse, glia-or-extracellular"
    assert table.loc["vnc", "non_commercial"]
    assert not table.loc["lucchi", "download_known"]
    assert table.loc["probtem", "shape"] == "18 of 1x?x?, 3 of 1x?x?, 6 of 1x?x?"
    assert not table.isna().any().any()


@pytest.mark.parametrize("key", KEYS)
def test_card_is_complete(key: str) -> None:
    """A reader finds specimen, voxel size, labels, licence, citation and sources on every card."""
    card = load_card(key)
    assert card.key == key
    for text in (card.title, card.specimen, card.tissue, card.modality, card.citation, card.licence.id):
        assert text.strip()
    assert card.licence.url.startswith("https://")
    assert all(step > 0 for step in card.voxel_size_nm)
    assert card.voxel_size_known or card.voxel_size_nm == NO_VOXEL_SIZE
    assert card.image_dtype
    assert card.label_ids[0] == "background"
    assert card.sources
    assert any(volume.labelled for volume in card.volumes)
    assert card.doi is None or card.doi.startswith("10.")
    for labels in (card, *card.targets):
        assert labels.label_kind == "instance" or labels.label_dtype == "uint8"
        assert labels.label_ids[0] == "background"
    assert len({target.key for target in card.targets}) == len(card.targets)
    assert (card.official_split is None) == (card.official_split_by is None)
    assert all(text == text.strip() and text for text in (*card.known_flaws, *card.sources))
    assert all(label and value for label, value in card.rows())
    wanted = {
        "Specimen",
        "Modality",
        "Voxel size (z, y, x)",
        "Labels",
        "Licence",
        "Citation",
        "Download",
        "Source",
    }
    assert wanted <= set(dict(card.rows()))


@pytest.mark.parametrize("key", DOWNLOADED)
def test_files_are_pinned(key: str) -> None:
    """Every published file has an https URL and a size to expect; hashes are hashes, or said to be not known."""
    card = load_card(key)
    assert card.download_bytes > 0
    for file in card.files:
        assert file.urls or file.manual
        assert file.expected_bytes > 0
        assert all(url.startswith("https://") or file.allow_http for url in file.urls)
        assert file.members or file.patterns
        for found in filter(None, [file.sha256, *file.members.values()]):
            assert re.fullmatch(r"[0-9a-f]{64}|git-sha1:[0-9a-f]{40}", found)
        assert not any(name.startswith("/") or ".." in name for name in file.members)
    members = [name for file in card.files for name in file.members]
    assert len(set(members)) == len(members), "a reader asks by path alone, so no path may be in two files"


@pytest.mark.parametrize("key", KEYS)
def test_module_opens_with_a_datasheet(key: str) -> None:
    """Specimen, voxel size, shapes, splits and licence stand at the top of each dataset file."""
    text = sys.modules[DATASETS[key].read.__module__].__doc__ or ""
    for word in ("Specimen:", "Voxel size:", "Shapes:", "Splits:", "Licence:"):
        assert word in text


@pytest.mark.parametrize("key", KEYS)
def test_card_and_manifest_tell_the_same_volumes(key: str) -> None:
    """Names, shapes and whether there are labels agree; of families, the manifest knows no shape."""
    card, manifest = load_card(key), load_manifest(key, None, SPLITS)
    assert {
        volume.name: (0, 0, 0) if volume.name.endswith("*") else volume.shape for volume in card.volumes
    } == {name: hashes.shape for name, hashes in manifest.volumes.items()}
    for volume in card.volumes:
        assert volume.labelled == (manifest.volumes[volume.name].labels_sha256 is not None)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_not_pinned_is_said(key: str) -> None:
    """The card of a dataset whose manifest lacks a hash says so, and no other card does."""
    pinned = load_manifest(key, None, SPLITS).pinned
    assert pinned == (NOT_PINNED not in load_card(key).known_flaws)
    assert (
        load_card(key).raw_bytes
        or NOT_KNOWN in dict(load_card(key).rows())["Download"]
        or not load_card(key).files
    )


def test_fake_loads_as_its_truth(fake: Fake) -> None:
    """The real reader on a tiny archive in the real layout gives exactly what was drawn."""
    card = fake.dataset.card
    for name in splits(fake):
        split = load_split(card.key, name)
        for volume, (published, cut) in zip(split, boxes(fake, name), strict=True):
            image, labels, *ignore = fake.truth[published]
            np.testing.assert_array_equal(volume.image, image[cut])
            assert volume.image.dtype == np.uint8
            assert not volume.image.flags.writeable
            assert volume.origin == tuple(side.start for side in cut)
            assert volume.voxel_size_nm == (
                fake.voxel_sizes.get(published) or card.volume(published).voxel_size_nm or card.voxel_size_nm
            )
            assert volume.voxel_size_known == (volume.voxel_size_nm != NO_VOXEL_SIZE)
            assert volume.label_kind == card.label_kind
            assert (volume.labels is None) == (name == "unlabelled")
            assert (volume.ignore is None) == (not ignore)
            if volume.ignore is not None:
                np.testing.assert_array_equal(volume.ignore, ignore[0][cut])
                assert volume.ignore.dtype == np.bool_
            if labels is not None and volume.labels is not None:
                np.testing.assert_array_equal(volume.labels, labels[cut])
                assert volume.labels.dtype == np.dtype(card.label_dtype)
                if card.label_kind == "semantic":
                    assert set(np.unique(volume.labels)) <= {0, 1}


def test_fake_loads_every_target(fake: Fake) -> None:
    """Labels of other structures are what was drawn; a volume without them has none, and its image stays."""
    card = fake.dataset.card
    assert {key for given in fake.targets.values() for key in given} == {
        target.key for target in card.targets
    }
    for target in card.targets:
        for name in splits(fake):
            split = load_split(card.key, name, target=target.key)
            for volume, (published, cut) in zip(split, boxes(fake, name), strict=True):
                drawn = fake.targets.get(published, {}).get(target.key)
                np.testing.assert_array_equal(volume.image, fake.truth[published][0][cut])
                assert volume.label_kind == target.label_kind
                assert (volume.labels is None) == (drawn is None)
                if drawn is not None and volume.labels is not None:
                    np.testing.assert_array_equal(volume.labels, drawn[cut])
                    assert volume.labels.dtype == np.dtype(target.label_dtype)
                    if target.label_kind == "semantic":
                        assert set(np.unique(volume.labels)) <= set(target.label_ids)


def test_pieces_travel_and_stand_alone(fake: Fake) -> None:
    """The last piece of every array, sent the way to another process and read before all others, is right."""
    card = fake.dataset.card
    with Published({file: fake.archives / file.name for file in card.files}) as files:
        for raw in itertools.islice(fake.dataset.read(card, files), 3):
            image, labels, *ignore = fake.truth[raw.name]
            drawn = {
                **fake.targets.get(raw.name, {}),
                "image": image,
                "labels": labels,
                "ignore": [*ignore, None][0],
            }
            given = {**raw.targets, "image": raw.image, "labels": raw.labels, "ignore": raw.ignore}
            for what, pieces in given.items():
                if pieces is not None:
                    assert [piece.start for piece in pieces] == sorted(
                        {0, *(piece.start for piece in pieces)}
                    )
                    last = pickle.loads(pickle.dumps(pieces[-1]))
                    found = last.read(files)
                    wanted = drawn[what][last.start :]
                    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


def test_fake_verifies(fake: Fake) -> None:
    """What was just converted passes the re-hash; arrays that no manifest vouches for are told."""
    report = verify(fake.dataset.card.key)
    assert report.n_bytes > 0
    manifest = load_manifest(fake.dataset.card.key, None, fake.dataset.splits_folder)
    known = {target for hashes in manifest.volumes.values() for target in hashes.targets}
    others = {target.key for target in fake.dataset.card.targets} - known
    assert bool(report.not_pinned) == (not manifest.pinned or bool(others))


def test_fake_gives_patches(fake: Fake) -> None:
    """A patch of every labelled split is the cut that its row names, image and mask."""
    key = fake.dataset.card.key
    for name in splits(fake):
        split = load_split(key, name)
        patches = split.patches(patch_shape=(12, 12))
        for index in (0, len(patches) - 1):
            sample = patches[index]
            volume = next(volume for volume in split if volume.name == sample["volume"])
            z, y, x = sample["origin"]
            np.testing.assert_array_equal(sample["image"][0], volume.image[z, y : y + 12, x : x + 12])
            if volume.labels is not None:
                np.testing.assert_array_equal(sample["mask"][0], volume.labels[z, y : y + 12, x : x + 12] > 0)


def test_fake_survives_hugging_face(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every labelled split as rows, then through a parquet file that `load_dataset` reads offline."""
    hf = pytest.importorskip("datasets")
    from mitobench.datasets.hub import load_hf
    from mitobench.datasets.hub_rows import HubPatches

    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    key = fake.dataset.card.key
    options = {"patch_shape": (12, 12), "stride": (40, 40)}
    loaded = load_hf(key, encoding="bytes", **options)
    assert set(loaded) == set(splits(fake)) - {"unlabelled"}
    for name, rows in loaded.items():
        patches = load_split(key, name).patches(**options)
        rows.select(range(min(len(rows), 50))).to_parquet(tmp_path / f"{name}.parquet")
        back = hf.load_dataset(
            "parquet",
            data_files=str(tmp_path / f"{name}.parquet"),
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )
        assert len(rows) == len(patches)
        wanted = patches.gather(range(len(back)))
        for found in (HubPatches(rows).gather(range(len(back))), HubPatches(back).gather(range(len(back)))):
            assert found["volume"] == wanted["volume"]
            for what in ("image", "mask", "origin"):
                np.testing.assert_array_equal(found[what], wanted[what])


def test_loading_again_reads_no_voxel(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call neither hashes nor converts, and needs no archive."""
    monkeypatch.delenv("MITOBENCH_SOURCES")
    monkeypatch.setattr(sys.modules["mitobench.datasets.fetch"], "write_store", None)
    monkeypatch.setattr("mitobench.arrays.hashes.hashlib", None)
    for target in (MAIN_TARGET, *(target.key for target in fake.dataset.card.targets)):
        for split in splits(fake):
            assert len(load_split(fake.dataset.card.key, split, download=False, target=target)) >= 1
