"""BetaSeg: axes, masks of any grey, the split of the twin data set."""

from pathlib import Path

import numpy as np
import pytest
from fakes import betaseg

from mitobench.datasets import load_card, load_manifest, load_split, registry
from mitobench.datasets.reading import SPLITS


def test_shapes_are_not_those_of_the_catalogue() -> None:
    """The catalogue lists x, y, z; read as z, y, x every volume would be refused."""
    shapes = {volume.name: volume.shape for volume in load_card("betaseg").volumes}
    assert shapes["high-c1"] == (1097, 699, 760)
    assert shapes["low-c3"] == (912, 705, 880)


def test_ids_and_255_are_both_foreground(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Granules come with ids above 255, masks as 255: a cast or a test for one would lose them."""
    fake = betaseg.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"betaseg": fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    for target in ("mitochondrion", "granule"):
        for volume in load_split("betaseg", "test", target=target):
            assert volume.labels is not None
            assert set(np.unique(volume.labels)) == {0, 1}


def test_the_split_is_that_of_the_twin() -> None:
    """A model scored here has learnt from no test cell of mitoem2-beta, as its authors list them."""
    manifest = load_manifest("betaseg", 1, SPLITS)
    assert {split: [box.volume for box in boxes] for split, boxes in manifest.splits.items()} == {
        "train": ["high-c3", "low-c1", "low-c2"],
        "val": ["high-c1"],
        "test": ["high-c2", "high-c4", "low-c3"],
    }
    assert "betaseg" in load_card("mitoem2-beta").overlaps
