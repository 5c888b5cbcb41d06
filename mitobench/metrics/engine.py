"""Whether compiled loops do the work: they give the numbers of the NumPy path, only sooner. No loop lives here.

numba takes about a second to import, so it is used when it is loaded already or when the work outweighs that.
"""

import importlib.util
import os
import sys

from mitobench.errors import BadInputError

WORTH_IMPORTING = 1 << 30
"""Voxels from which importing numba pays for itself (NumPy needs about 1.2 ns more per voxel)."""
WORTH_CALLING = 1 << 16
"""Voxels from which a loaded numba is used."""


def use_numba(voxels: int) -> bool:
    """Decide for an amount of work.

    The environment variable MITOBENCH_KERNELS overrides: "numpy" means never, "numba" always.

    Args:
        voxels: How much work there is.

    Raises:
        BadInputError: The variable holds something else.
    """
    choice = os.environ.get("MITOBENCH_KERNELS", "auto")
    if choice not in ("auto", "numpy", "numba"):
        raise BadInputError(f"MITOBENCH_KERNELS is {choice!r}; expected auto, numpy or numba.")
    if choice != "auto":
        return choice == "numba"
    if "numba" in sys.modules:
        return voxels >= WORTH_CALLING
    return voxels >= WORTH_IMPORTING and importlib.util.find_spec("numba") is not None
