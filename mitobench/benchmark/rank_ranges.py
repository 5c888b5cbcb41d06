"""Between which ranks each entry of a group lies, by drawing tiles for all entries together. Knows no file."""

from collections.abc import Mapping, Sequence

import numpy as np

from mitobench.benchmark.intervals import LEVEL, RATIOS, draws_of_tiles, stack_seeds
from mitobench.benchmark.tiles import TileCounts


def rank_ranges(
    seeds_of: Mapping[str, Sequence[TileCounts]], *, metric: str = "iou"
) -> dict[str, tuple[int, int]]:
    """Lowest and highest rank of each entry in 95 % of the draws; for each entry by itself, not for all at once.

    The same tiles are drawn for all, so what makes a tile hard for everybody does not blur the order.

    Args:
        seeds_of: Entry to its counts by tile, one per seed; all on the same tiles.
        metric: Key of `intervals.RATIOS`.

    Returns:
        Entry to (best rank, worst rank); empty for no entry.

    Source: Marginal confidence sets for ranks, as Mogstad, Romano, Shaikh and Wilhelm distinguish them.
    """
    if not seeds_of:
        return {}
    entries = sorted(seeds_of)
    values = [stack_seeds(seeds_of[entry]) for entry in entries]
    times = draws_of_tiles(values[0].shape[1])
    ratio = RATIOS[metric]
    drawn = np.stack([ratio.of(np.einsum("du,suc->sdc", times, one)).mean(axis=0) for one in values])
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
    if not drawn.size:
        return {entry: (1, len(entries)) for entry in entries}
    ranks = 1 + (drawn[None, :, :] > drawn[:, None, :]).sum(axis=1)
    tail = (1 - LEVEL) / 2
    low = np.quantile(ranks, tail, axis=1, method="lower")
    high = np.quantile(ranks, 1 - tail, axis=1, method="higher")
    return {entry: (int(low[i]), int(high[i])) for i, entry in enumerate(entries)}
