"""Student's t distribution, to the last few bits. Here because importing SciPy takes longer than most scoring."""

import math
from functools import lru_cache


def t_below(value: float, freedom: float) -> float:
    """Probability of a t variable at or below a value.

    Args:
        value: The value.
        freedom: Degrees of freedom, more than 0.
    """
    square = value * value
    if square < freedom:  # what stands near 1 would lose the digits that count
        tail = 0.5 - 0.5 * _beta_share(0.5, freedom / 2, square / (freedom + square))
    else:
        tail = 0.5 * _beta_share(freedom / 2, 0.5, freedom / (freedom + square))
    return tail if value < 0 else 1 - tail


@lru_cache
def t_quantile(probability: float, freedom: float) -> float:
    """The value that a t variable stays below with some probability.

    Args:
        probability: At least one half, less than 1.
        freedom: Degrees of freedom, more than 0.
    """
    low, high = 0.0, 1.0
    while t_below(-high, freedom) > 1 - probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_below(-middle, freedom) > 1 - probability else (low, middle)
    return (low + high) / 2


def _beta_share(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function, by its continued fraction (https://dlmf.nist.gov/8.17#v)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(b, a, 1 - x)
    scale = a * math.log(x) + b * math.log1p(-x) - math.log(a)
    scale += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    tiny = 1e-300
    fraction, c, d = 1.0, 1.0, 0.0
    for k in range(10_000):
        m = k // 2
        if k == 0:
            step = 1.0
        elif k % 2 == 0:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / ((1 + step * d) or tiny)
        c = (1 + step / c) or tiny
        fraction *= c * d
        if abs(1 - c * d) < 1e-16:
            break
    return math.exp(scale) * (fraction - 1)
