"""The option --voxel-size as numbers."""

import math

from mitobench.errors import BadInputError

_AXES = {2: "Y,X", 3: "Z,Y,X"}


def parsed_voxel_size(text: str, *, axes: tuple[int, ...] = (3,)) -> tuple[float, ...]:
    """Nanometres per voxel along each axis.

    Args:
        text: Numbers with commas between them, such as "30,8,8".
        axes: How many there may be.

    Raises:
        BadInputError: They are no positive numbers, or not so many.
    """
    try:
        steps = tuple(float(part) for part in text.split(","))
    except ValueError:
        steps = ()
    if len(steps) not in axes or not all(0 < step < math.inf for step in steps):
        raise BadInputError(
            f"--voxel-size is {text!r}; expected positive numbers of nanometres as "
            f"{' or '.join(_AXES[many] for many in axes)}, such as {'30,8,8' if 3 in axes else '8,8'}."
        )
    return steps
