"""The table of datasets. A dataset is known by its split manifests; its module is imported when asked for."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from mitobench.datasets.manifest import manifest_keys
from mitobench.datasets.reading import SPLITS, Dataset
from mitobench.errors import UnknownNameError

FAMILIES = frozenset({"mitoem", "mitoem2", "mitonet"})
"""First words of keys whose datasets share one module, unless a key has a module of its own."""


class DatasetTable(Mapping[str, Dataset]):
    """{key: Dataset}, lazily.

    `splits/<key>@<version>.toml` makes a key known; the module `mitobench.datasets.<key>`, dashes written as
    underscores, holds its CARD and read(). A family of keys, such as "mitonet-...", has one module with CARDS
    by key. So a new dataset needs no line anywhere else.
    """

    def __getitem__(self, key: str) -> Dataset:
        if key not in manifest_keys(SPLITS):
            raise KeyError(key)
        family, own = key.split("-", 1)[0], key.replace("-", "_")
        if family in FAMILIES and not Path(__file__).with_name(f"{own}.py").exists():
            module = importlib.import_module(f"mitobench.datasets.{family}")
            return Dataset(card=module.CARDS[key], read=module.read)
        module = importlib.import_module(f"mitobench.datasets.{own}")
        return Dataset(card=module.CARD, read=module.read)

    def __iter__(self) -> Iterator[str]:
        return iter(manifest_keys(SPLITS))

    def __len__(self) -> int:
        return len(manifest_keys(SPLITS))


DATASETS: Mapping[str, Dataset] = DatasetTable()


def find_dataset(name: str) -> Dataset:
    """The dataset of that key.

    Raises:
        UnknownNameError: There is none; the message lists all and the nearest.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownNameError("dataset", name, DATASETS) from None
