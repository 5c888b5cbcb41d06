"""Single pictures, as 2-D datasets publish them: grey values in one channel or in equal ones, masks, names."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.errors import FormatError


def read_grey(data: bytes, name: str) -> NDArray[Any]:
    """One picture as (y, x), whether it is published in one channel or in three equal ones; a fourth is opacity.

    Args:
        data: The whole file.
        name: Its name, for errors.

    Raises:
        FormatError: It is no picture, or its channels differ.
    """
    values = read_image_bytes(data, name)
    if values.ndim == 2:
        return values
    grey = values[..., 0]
    if values.shape[-1] not in {2, 3, 4} or any(
        not np.array_equal(grey, values[..., channel]) for channel in range(1, min(values.shape[-1], 3))
    ):
        raise FormatError(
            f"{name} has {values.shape[-1]} channels that differ; expected grey, in one channel or in three equal "
            "ones. The file is not the published one; get it again."
        )
    return grey


def volume_names(splits: Sequence[str], members: Sequence[str]) -> list[str]:
    """`volume_name` of each; names that would be the same end in a part of the hash of their path.

    Args:
        splits: What each name starts with.
        members: Paths of the pictures.
    """
    names = [volume_name(split, member) for split, member in zip(splits, members, strict=True)]
    often = Counter(names)
    return [
        f"{name}-{hashlib.sha256(member.encode()).hexdigest()[:8]}" if often[name] > 1 else name
        for name, member in zip(names, members, strict=True)
    ]


def volume_name(split: str, member: str) -> str:
    """Name of the volume that a picture becomes: `<split>-<file name>`, lower-case letters, digits and dashes."""
    stem = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(member).stem.lower()).strip("-")
    return f"{split}-{stem}"
