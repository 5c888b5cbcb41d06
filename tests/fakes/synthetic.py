"""The synthetic dataset with small blocks; nothing is downloaded."""

from dataclasses import replace
from pathlib import Path

from fakes import Fake, assemble
from mitobench.datasets import synthetic
from mitobench.datasets.card import VolumeCard


def build(folder: Path) -> Fake:
    """Grow small blocks with the real reader, which is also their truth."""
    shapes = {volume.name: (volume.shape[0], 40, 48) for volume in synthetic.CARD.volumes}
    card = replace(
        synthetic.CARD, volumes=tuple(VolumeCard(name=name, shape=shape) for name, shape in shapes.items())
    )

    truth = {
        raw.name: tuple(piece.read(None) for piece in (*raw.image, *raw.labels))
        for raw in synthetic.read(card, None)
    }
    return assemble(folder, card=card, read=synthetic.read, members={}, truth=truth)
