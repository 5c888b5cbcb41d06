"""A tiny split of a made-up dataset, with a licence of one's choice; no file is read."""

from dataclasses import replace

import numpy as np

from mitobench.datasets.card import DatasetCard, Licence, VolumeCard
from mitobench.datasets.manifest import SplitManifest
from mitobench.datasets.split import Split
from mitobench.volume import Volume

SHAPE = (3, 20, 24)
CARD = DatasetCard(
    key="toy",
    title="Toy tissue",
    specimen="none",
    tissue="none",
    modality="generated",
    voxel_size_nm=(30, 8, 8),
    volumes=(VolumeCard(name="a", shape=SHAPE), VolumeCard(name="b", shape=SHAPE)),
    image_dtype="uint8",
    label_dtype="uint16",
    label_kind="instance",
    label_ids={0: "background"},
    label_version="1",
    licence=Licence(
        id="CC-BY-4.0", url="https://example.org/by", non_commercial=False, pixels_redistributable=True
    ),
    citation="Somebody (2020)",
    raw_bytes=0,
    sources=("https://example.org/toy",),
)


def toy_split(
    *,
    labelled: bool = True,
    name: str = "train",
    version: int = 1,
    sha256: str = "0" * 64,
    card: DatasetCard = CARD,
) -> Split:
    rng = np.random.default_rng(version)
    volumes = []
    for volume_name in ("a", "b"):
        labels = np.zeros(SHAPE, np.uint16)
        labels[1, 3:8, 3:8] = 256
        volumes.append(
            Volume(
                name=volume_name,
                image=rng.integers(0, 256, SHAPE, np.uint8),
                labels=labels if labelled else None,
                label_kind="instance",
                voxel_size_nm=(30, 8, 8),
            )
        )
    box = {"volume": "a", "start": (0, 0, 0), "stop": SHAPE}
    manifest = SplitManifest.model_validate(
        {
            "schema": 1,
            "dataset": "toy",
            "version": version,
            "label_version": "1",
            "why": "test",
            "guard_gap": (0, 0, 0),
            "volumes": {"a": {"shape": SHAPE, "image_sha256": sha256, "labels_sha256": "0" * 64}},
            "splits": {name: (box,)},
            "gallery": {"rule": "none", "slices": {}},
        }
    )
    return Split(split=name, card=card, manifest=manifest, volumes=volumes)


def non_commercial(card: DatasetCard = CARD) -> DatasetCard:
    """The same data under a licence that excludes commercial use and says nothing of copies."""
    licence = Licence(
        id="House-NC", url="https://example.org/nc", non_commercial=True, pixels_redistributable=False
    )
    return replace(card, licence=licence)
