"""Which slices of a volume are shown. Chosen by its depth alone, so nobody can pick the best."""


def even_slices(depth: int, *, count: int) -> tuple[int, ...]:
    """Evenly spaced slices: the volume is cut into `count` equal parts and the middle slice of each is taken.

    Args:
        depth: Number of slices in the box.
        count: How many to show; all of them when the box has fewer.

    Returns:
        Ascending indices along z.

    Example:
        >>> even_slices(10, count=3)
        (1, 5, 8)
        >>> even_slices(2, count=3)
        (0, 1)
    """
    shown = min(count, depth)
    return tuple((2 * part + 1) * depth // (2 * shown) for part in range(shown))
