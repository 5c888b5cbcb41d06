"""Where volumes come from: cards, fetching, the store, splits. No model and no score is known here."""

from mitobench.datasets.card import DatasetCard, Licence, VolumeCard
from mitobench.datasets.fetch import fetch
from mitobench.datasets.manifest import SplitManifest, load_manifest
from mitobench.datasets.overlaps import same_tissue
from mitobench.datasets.reading import Dataset
from mitobench.datasets.registry import DATASETS, find_dataset
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.roots import data_root, sources
from mitobench.datasets.split import Split, load_split
from mitobench.datasets.table import list_datasets
from mitobench.datasets.verify import VerifyReport, verify

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetCard",
    "Licence",
    "RemoteFile",
    "Split",
    "SplitManifest",
    "VerifyReport",
    "VolumeCard",
    "data_root",
    "fetch",
    "find_dataset",
    "list_datasets",
    "load_card",
    "load_manifest",
    "load_split",
    "same_tissue",
    "sources",
    "verify",
]


def load_card(name: str) -> DatasetCard:
    """The datasheet of a dataset.

    Raises:
        UnknownNameError: There is no such dataset.
    """
    return find_dataset(name).card
