"""How loops are compiled, and how arrays are handed to them. No loop lives here."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile on first call, keep the machine code on disk, and let other threads run meanwhile."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """Compile into the callers."""
    return cast("F", numba.njit(cache=True, nogil=True, inline="always")(function))


AHEAD = 128
"""Words that `fetch_ahead` looks ahead: a kibibyte, about what is read while memory answers."""


def _typing_of_fetch(_context: Any, array: Any, _index: Any) -> Any:
    """The address of an element, handed to the instruction; it reads nothing and never faults."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        declare: Any = cgutils.get_or_insert_function
        instruction = declare(builder.module, kind, "llvm.prefetch.p0")
        builder.call(instruction, [address, number(0), number(0), number(1)])  # to read, once, data
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


fetch: Any = intrinsic(_typing_of_fetch)
"""Ask memory for the cache line of an element; loops that branch on what they read wait less for it."""


@inlined
def fetch_ahead(array: Any, first: Any, n: Any) -> None:
    """Ask for the n words that lie `AHEAD` of a position."""
    for j in range(np.uint64(0), n, np.uint64(8)):
        fetch(array, first + np.uint64(AHEAD) + j)


def aligned(array: NDArray[Any]) -> bool:
    """Whether the data start at a multiple of eight bytes, so that they can be read as words."""
    return array.ctypes.data % 8 == 0


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view: one compiled version serves memory maps and arrays in memory."""
    view = array.view()
    view.flags.writeable = False
    return view


def words(array: NDArray[Any]) -> NDArray[np.uint64]:
    """The same bytes, eight at a time, read-only."""
    return fixed(array.view(np.uint64))
