"""Cards as a table for people. Sole place of the datasets wing that imports pandas."""

from typing import TYPE_CHECKING

from mitobench.datasets.card import VolumeCard
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.registry import DATASETS
from mitobench.datasets.remote import NOT_KNOWN

if TYPE_CHECKING:
    import pandas as pd


def list_datasets() -> "pd.DataFrame":
    """One row per dataset, indexed by key.

    Returns:
        Columns: title, specimen, tissue, modality, shape (every volume, z x y x x; of a family how many and one of
        them), voxel_size_nm (z, y, x; or "not known"), labels, targets (other structures with labels), licence,
        non_commercial, download_mb (0 = generated), download_known (False where download_mb is only what to plan
        with), splits (of the newest version), version.
    """
    import pandas as pd

    rows = []
    for key, dataset in sorted(DATASETS.items()):
        card = dataset.card
        manifest = load_manifest(key, None, dataset.splits_folder)
        rows.append(
            {
                "key": key,
                "title": card.title,
                "specimen": card.specimen,
                "tissue": card.tissue,
                "modality": card.modality,
                "shape": ", ".join(map(_shape, card.volumes)),
                "voxel_size_nm": card.voxel_size_nm if card.voxel_size_known else NOT_KNOWN,
                "labels": card.label_kind,
                "targets": ", ".join(target.key for target in card.targets),
                "licence": card.licence.id,
                "non_commercial": card.licence.non_commercial,
                "download_mb": round(card.download_bytes / 1e6, 1),
                "download_known": bool(card.raw_bytes) or not card.files,
                "splits": ", ".join(manifest.splits),
                "version": manifest.version,
            }
        )
    return pd.DataFrame(rows).set_index("key")


def _shape(volume: VolumeCard) -> str:
    one = volume.shape_text.replace(" ", "")
    return f"{volume.count or '?'} of {one}" if volume.name.endswith("*") else one
