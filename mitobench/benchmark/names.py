"""The grammar of record file names: one parser, which rebuilds the name it parsed."""

import re
from typing import Self

from pydantic.dataclasses import dataclass

from mitobench.benchmark.schema import STRICT, Count, DatasetKey, Key, Version
from mitobench.errors import RecordError

_NAME = re.compile(
    r"(?P<dataset>[a-z0-9]+(?:[_-][a-z0-9]+)*)@(?P<version>[0-9a-z]+(?:-[0-9a-z]+)*)"
    r"\.(?P<track>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<seed>0|[1-9][0-9]*)"
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RecordName:
    """What the name of a record file says: `<dataset>@<version>.<track>.<seed>.json`.

    Attributes:
        dataset: Dataset key.
        version: Version of the split and its labels.
        track: Track key.
        seed: Seed of the model, 0 for rules.
    """

    dataset: DatasetKey
    version: Version
    track: Key
    seed: Count

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return f"{self.dataset}@{self.version}.{self.track}.{self.seed}"

    @property
    def file(self) -> str:
        """The file name of the record."""
        return f"{self.stem}.json"

    @classmethod
    def parse(cls, file_name: str) -> Self:
        """Read a file name.

        Args:
            file_name: Name without folders, such as "vnc@1.auto.0.json".

        Raises:
            RecordError: The name does not follow the grammar, or does not rebuild to itself.
        """
        stem = file_name.removesuffix(".json")
        match = _NAME.fullmatch(stem)
        if match is None or not file_name.endswith(".json"):
            raise RecordError(
                f"{file_name!r} is no record name. Expected <dataset>@<version>.<track>.<seed>.json, "
                "such as vnc@1.auto.0.json; rename the file."
            )
        name = cls(
            dataset=match["dataset"], version=match["version"], track=match["track"], seed=int(match["seed"])
        )
        if name.file != file_name:
            raise RecordError(f"{file_name!r} reads back as {name.file!r}; rename the file.")
        return name
