"""Counting of voxels: foreground of two masks, and pairs of labels in a hash table of runs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.compiled.tools import aligned, compiled, fetch_ahead, fixed, inlined, words

U = np.uint64
_BLOCK = 32  # voxels compared at once
_LOW = U(0x7F7F7F7F7F7F7F7F)
_ONES = U(0x0101010101010101)
_EVEN = U(0x00FF00FF00FF00FF)
_GATHER = U(0x0001000100010001)
_PIECE = U(240)  # words; a byte counts to 255
_MIX = U(0x9E3779B97F4A7C15)


# ---------------------------------------------------------------- foreground of two masks


@inlined
def _sum_of_bytes(word: Any) -> Any:
    """The eight bytes of a word added up."""
    pairs = (word & _EVEN) + ((word >> U(8)) & _EVEN)
    return (pairs * _GATHER) >> U(48)


@compiled
def _confusion_of_words(words_true: Any, words_pred: Any) -> Any:
    """Bytes that are not zero in both, in the first, in the second; eight at a time.

    Each is counted in a byte of its own, which holds out for the words of a piece.
    """
    both = U(0)
    true = U(0)
    pred = U(0)
    for k in range(U(words_true.size) // _PIECE):
        first = k * _PIECE
        shared = U(0)
        in_true = U(0)
        in_pred = U(0)
        for j in range(_PIECE):
            a = words_true[first + U(j)]
            b = words_pred[first + U(j)]
            a = ((((a & _LOW) + _LOW) | a) >> U(7)) & _ONES
            b = ((((b & _LOW) + _LOW) | b) >> U(7)) & _ONES
            shared += a & b
            in_true += a
            in_pred += b
        both += _sum_of_bytes(shared)
        true += _sum_of_bytes(in_true)
        pred += _sum_of_bytes(in_pred)
    return both, true, pred


@compiled
def _confusion_of_values(labels_true: Any, labels_pred: Any) -> Any:
    both = U(0)
    true = U(0)
    pred = U(0)
    for i in range(labels_true.size):
        a = U(labels_true[i] != 0)
        b = U(labels_pred[i] != 0)
        both += a & b
        true += a
        pred += b
    return both, true, pred


def confusion(labels_true: NDArray[Any], labels_pred: NDArray[Any]) -> tuple[int, int, int]:
    """Count the voxels that are foreground in both arrays, in the first and in the second.

    Args:
        labels_true: (n,) contiguous, any unsigned dtype.
        labels_pred: (n,) contiguous.
    """
    counts = np.zeros(3, np.int64)
    start = 0
    if labels_true.dtype == labels_pred.dtype == np.uint8 and aligned(labels_true) and aligned(labels_pred):
        start = labels_true.size // (8 * int(_PIECE)) * 8 * int(_PIECE)
        counts += [
            int(n) for n in _confusion_of_words(words(labels_true[:start]), words(labels_pred[:start]))
        ]
    counts += [int(n) for n in _confusion_of_values(fixed(labels_true[start:]), fixed(labels_pred[start:]))]
    both, true, pred = counts.tolist()
    return both, true, pred


# ---------------------------------------------------------------- overlap table


@inlined
def _add(true_keys: Any, pred_keys: Any, counts: Any, true: Any, pred: Any, voxels: Any, shift: Any) -> int:
    """Add a run to the hash table; 1 when the pair is new."""
    mask = U(counts.size - 1)
    i = ((true * _MIX ^ pred) * _MIX) >> shift
    while True:
        if counts[i] == 0:
            true_keys[i] = true
            pred_keys[i] = pred
            counts[i] = voxels
            return 1
        if true_keys[i] == true and pred_keys[i] == pred:
            counts[i] += voxels
            return 0
        i = (i + U(1)) & mask


@inlined
def _differs(words: Any, block: Any, lane: Any, pattern: Any) -> Any:
    """Non-zero when any word of a block is not the pattern; `lane` has its length for a type, so the loop unrolls."""
    n = U(len(lane))
    seen = U(0)
    for j in range(n):
        seen |= words[block * n + U(j)] ^ pattern
    return seen


@compiled
def _count_pairs(  # noqa: PLR0912 - one loop with no calls is what makes it fast
    labels_true: Any,
    labels_pred: Any,
    words_true: Any,
    words_pred: Any,
    lane_true: Any,
    lane_pred: Any,
    repeat_true: Any,
    repeat_pred: Any,
    start: Any,
    true_keys: Any,
    pred_keys: Any,
    counts: Any,
    used: Any,
    shift: Any,
) -> Any:
    """Flush runs of equal pairs into the hash table; returns where it stopped and how full the table is.

    32 voxels are skipped at once while both arrays stay at the running pair; a block with a change is walked. It
    stops early when the table is half full, to be called again with a larger one.
    """
    limit = counts.size // 2 - 2 * _BLOCK
    n = U(labels_true.size)
    blocks = n // U(_BLOCK)
    true = labels_true[start]
    pred = labels_pred[start]
    run = np.int64(0)
    pattern_true = U(true) * repeat_true
    pattern_pred = U(pred) * repeat_pred
    k = U(start) // U(_BLOCK)
    while k < blocks:
        fetch_ahead(words_true, k * U(len(lane_true)), U(len(lane_true)))
        fetch_ahead(words_pred, k * U(len(lane_pred)), U(len(lane_pred)))
        if (
            _differs(words_true, k, lane_true, pattern_true)
            | _differs(words_pred, k, lane_pred, pattern_pred)
        ) == U(0):
            run += _BLOCK
        else:
            first = k * U(_BLOCK)
            for j in range(U(_BLOCK)):
                a = labels_true[first + U(j)]
                b = labels_pred[first + U(j)]
                if a == true and b == pred:
                    run += 1
                else:
                    if run > 0:
                        used += _add(true_keys, pred_keys, counts, U(true), U(pred), run, shift)
                    true = a
                    pred = b
                    run = np.int64(1)
            pattern_true = U(true) * repeat_true
            pattern_pred = U(pred) * repeat_pred
            if used > limit:
                used += _add(true_keys, pred_keys, counts, U(true), U(pred), run, shift)
                return np.int64(first + U(_BLOCK)), used
        k += U(1)
    for j in range(blocks * U(_BLOCK), n):
        a = labels_true[j]
        b = labels_pred[j]
        if a == true and b == pred:
            run += 1
        else:
            if run > 0:
                used += _add(true_keys, pred_keys, counts, U(true), U(pred), run, shift)
            true = a
            pred = b
            run = np.int64(1)
    if run > 0:
        used += _add(true_keys, pred_keys, counts, U(true), U(pred), run, shift)
    return np.int64(n), used


@compiled
def _rehash(
    old_true: Any, old_pred: Any, old: Any, true_keys: Any, pred_keys: Any, counts: Any, shift: Any
) -> None:
    for i in range(old.size):
        if old[i]:
            _add(true_keys, pred_keys, counts, old_true[i], old_pred[i], old[i], shift)


def pair_counts(
    labels_true: NDArray[Any], labels_pred: NDArray[Any]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Count the voxels of each pair of labels; rows in no order.

    Args:
        labels_true: (n,) contiguous and aligned to eight bytes, any unsigned dtype.
        labels_pred: (n,) the same; its dtype may differ.
    """
    size = labels_true.size // _BLOCK * _BLOCK
    arrays = (fixed(labels_true), fixed(labels_pred))
    read = (words(labels_true[:size]), words(labels_pred[:size]))
    lanes = tuple((0,) * (_BLOCK * labels.itemsize // 8) for labels in arrays)
    repeats = tuple(U((2**64 - 1) // (2 ** (8 * labels.itemsize) - 1)) for labels in arrays)
    bits, done, used = 13, 0, 0
    table = _fresh(bits)
    call: Any = _count_pairs
    while done < labels_true.size:
        done, used = call(*arrays, *read, *lanes, *repeats, done, *table, used, U(64 - bits))
        if done < labels_true.size:
            bits += 1
            larger = _fresh(bits)
            _rehash(*table, *larger, U(64 - bits))
            table = larger
    keep = table[2] > 0
    return table[0][keep], table[1][keep], table[2][keep]


def _fresh(bits: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    return np.zeros(1 << bits, U), np.zeros(1 << bits, U), np.zeros(1 << bits, np.int64)
