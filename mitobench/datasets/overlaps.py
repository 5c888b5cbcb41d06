"""Which datasets show the same tissue, followed from card to card. No file is read here."""

from collections.abc import Iterable, Mapping

from mitobench.datasets.card import DatasetCard


def tissue_map(cards: Iterable[DatasetCard]) -> Mapping[str, frozenset[str]]:
    """For every dataset, the others that a model must not have learnt from to be new to its tissue.

    Datasets of the same tissue are followed as far as they lead: of lucchi and lucchi-pp, lucchi-pp and
    mitonet-lucchi-pp, each names the two others. A dataset that shares only a part is followed one step: tiles
    of rat and of human cortex in one collection do not make these two the same tissue.

    Args:
        cards: What each dataset says of the others; said by one of two is enough.

    Returns:
        {key: other keys}, also for keys that only a card names, such as a rendering that is not loaded here.
    """
    same: dict[str, set[str]] = {}
    parts: dict[str, set[str]] = {}
    for card in cards:
        same.setdefault(card.key, set())
        for links, named in ((same, card.overlaps), (parts, card.shares)):
            for other in named:
                links.setdefault(card.key, set()).add(other)
                links.setdefault(other, set()).add(card.key)
    keys = same.keys() | parts.keys()
    whole = {key: _reached(key, same) for key in keys}
    found = {}
    for key in keys:
        touched = {other for member in whole[key] for other in parts.get(member, ())}
        found[key] = frozenset(whole[key].union(*(whole[other] for other in touched)) - {key})
    return found


def same_tissue() -> Mapping[str, frozenset[str]]:
    """`tissue_map` of all datasets."""
    from mitobench.datasets.registry import DATASETS

    return tissue_map(dataset.card for dataset in DATASETS.values())


def _reached(start: str, links: Mapping[str, set[str]]) -> set[str]:
    """Everything that links lead to from there, itself included."""
    found, coming = {start}, [start]
    while coming:
        new = links.get(coming.pop(), set()) - found
        found |= new
        coming += new
    return found
