"""MitoNet's TEM images: names that only the host knows, sizes that differ, masks by name."""

from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, mitonet_tem
from fakes.cem_mitolab import tiff

from mitobench.datasets import fetch, load_card, load_manifest, load_split, registry
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its folders as source."""
    made = mitonet_tem.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"mitonet-tem": made.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(made.archives))
    return made


def test_images_of_many_sizes_load_whole(fake: Fake) -> None:
    """Each is a volume of its own: stacked into one, they would have to be cut or padded."""
    volumes = load_split("mitonet-tem", "test")
    assert [volume.name for volume in volumes] == [
        "test-fly-3",
        "test-mouse-2",
        "test-mouse-10",
        "test-plant-01-a",
    ]
    assert len({volume.shape for volume in volumes}) == 4
    assert set(np.unique(volumes[1].labels)) == {0, 3, 73}
    assert not volumes[0].voxel_size_known


def test_all_of_it_is_test() -> None:
    """As of the six volumes beside it; what these say of authors and licence holds here too."""
    assert set(load_manifest("mitonet-tem", 1, SPLITS).splits) == {"test"}
    card, other = load_card("mitonet-tem"), load_card("mitonet-hela-cell")
    assert (card.citation, card.licence) == (other.citation, other.licence)
    assert [url for file in card.files for url in file.urls] == [
        f"https://ftp.ebi.ac.uk/empiar/world_availability/10982/data/tem_benchmark/{part}/"
        for part in ("images", "masks")
    ]


@pytest.mark.parametrize(
    ("folder", "says"),
    [("images", "has no mask"), ("masks", "expected integers"), ("both", "expected uint8")],
)
def test_files_that_do_not_fit_are_named(fake: Fake, folder: str, says: str) -> None:
    """An image without its mask, masks that are no ids, images of 16 bits."""
    for part in ("images", "masks") if folder == "both" else (folder,):
        name = "mouse_2" if folder == "masks" else "zebra"
        plane = np.zeros((22, 28), np.float32 if folder == "masks" else np.uint16)
        (fake.archives / f"tem_benchmark_{part}" / f"{name}.tiff").write_bytes(tiff(plane))
    with pytest.raises(FormatError, match=says):
        fetch("mitonet-tem")
