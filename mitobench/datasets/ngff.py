"""Where the levels of an OME-NGFF image lie in space, from its `.zattrs`. Reads no pixel and no file."""

import json
from dataclasses import dataclass
from typing import Any

from mitobench.errors import FormatError
from mitobench.volume import VoxelSize

_AXES = ["z", "y", "x"]


@dataclass(frozen=True, kw_only=True)
class Level:
    """One resolution of an image.

    Attributes:
        path: Of its array, below the image.
        voxel_size_nm: (z, y, x).
        centre_nm: Centre of its first voxel, (z, y, x).
    """

    path: str
    voxel_size_nm: VoxelSize
    centre_nm: VoxelSize

    def same_size(self, other: "Level") -> bool:
        """Whether voxels are as large as another's, to a thousandth."""
        pairs = zip(self.voxel_size_nm, other.voxel_size_nm, strict=True)
        return all(abs(a - b) <= 1e-3 * b for a, b in pairs)


def levels(text: bytes, name: str) -> list[Level]:
    """The levels of the first multiscale image, finest first.

    Raises:
        FormatError: There is none, or its axes are not z, y, x in nanometres.
    """
    try:
        image: dict[str, Any] = json.loads(text)["multiscales"][0]
        axes = image["axes"]
        if [axis["name"] for axis in axes] != _AXES or {axis["unit"] for axis in axes} != {"nanometer"}:
            raise ValueError(f"axes {axes}")
        found = [_level(level) for level in image["datasets"]]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FormatError(
            f"{name} is no OME-NGFF image with axes z, y, x in nanometres ({error!r}). "
            "The file is not the published one, or its host changed the format; please report it."
        ) from error
    return sorted(found, key=lambda level: level.voxel_size_nm)


def _level(level: dict[str, Any]) -> Level:
    scale, shift = [1.0] * 3, [0.0] * 3
    for transform in level["coordinateTransformations"]:
        if transform["type"] == "scale":
            scale = [float(value) for value in transform["scale"]]
        elif transform["type"] == "translation":
            shift = [float(value) for value in transform["translation"]]
    z, y, x = scale
    if min(scale) <= 0:
        raise ValueError(f"scale {scale}")
    return Level(path=str(level["path"]), voxel_size_nm=(z, y, x), centre_nm=(shift[0], shift[1], shift[2]))
