"""MitoNet benchmarks: one table, test only, ids kept as they are, overlaps said."""

from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, mitonet
from fakes.lucchi import stack

from mitobench.datasets import DATASETS, fetch, load_card, load_manifest, load_split, registry
from mitobench.datasets.mitonet import CARDS
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError, IntegrityError, UnknownNameError


def use(key: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake of one benchmark, with its files as source."""
    fake = mitonet.build(folder, key)
    monkeypatch.setattr(registry, "DATASETS", {key: fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


def test_every_row_of_the_table_is_a_dataset() -> None:
    """Keys, manifests and cards agree."""
    assert set(CARDS) == {key for key in DATASETS if key.startswith("mitonet-")} - {"mitonet-tem"}
    assert all(DATASETS[key].card is CARDS[key] for key in CARDS)


@pytest.mark.parametrize("key", CARDS)
def test_all_of_it_is_test(key: str) -> None:
    """Nothing can be trained on by mistake."""
    assert set(load_manifest(key, None, SPLITS).splits) == {"test"}
    with pytest.raises(UnknownNameError, match="train"):
        load_manifest(key, None, SPLITS).boxes("train")


def test_ids_are_objects(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids keep their gaps; a reading as mask would join objects."""
    use("mitonet-hela-cell", tmp_path, monkeypatch)
    volume = load_split("mitonet-hela-cell", "test")[0]
    assert set(np.unique(volume.labels)) == {0, 7, 107}
    assert volume.label_kind == "instance"


@pytest.mark.parametrize("wrong", [np.float32(1), np.int32(-1)])
def test_labels_that_are_no_ids_are_refused(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch, wrong: np.generic
) -> None:
    """Floats and negative numbers are named, never cast."""
    fake = use("mitonet-fly-brain", tmp_path, monkeypatch)
    (fake.archives / "fly_brain_mito.tif").write_bytes(stack(np.full((12, 20, 26), wrong)))
    with pytest.raises(FormatError, match=r"fly_brain_mito\.tif has .* expected integers"):
        fetch("mitonet-fly-brain")


def test_a_known_hash_is_asked_for(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The salivary gland is the one benchmark whose files have published hashes."""
    fake = use("mitonet-salivary-gland", tmp_path, monkeypatch)
    path = fake.archives / "salivary_gland_mito.tif"
    path.write_bytes(stack(np.zeros((12, 20, 26), np.uint8)))
    with pytest.raises(IntegrityError, match="the card says"):
        fetch("mitonet-salivary-gland")
    known = {key for key, card in CARDS.items() if all(file.sha256 for file in card.files)}
    assert known == {"mitonet-salivary-gland"}


def test_the_hippocampus_names_its_twins() -> None:
    """Same images as Lucchi and Lucchi++, and each of the three says so."""
    assert set(load_card("mitonet-lucchi-pp").overlaps) == {"lucchi", "lucchi-pp"}
    for key in ("lucchi", "lucchi-pp"):
        assert "mitonet-lucchi-pp" in load_card(key).overlaps
