"""Seeded, realistic mistakes: the predictions of the golden cases.

Of the objects, in the order of their ids, 8 % are dropped, 10 % are cut in half, 10 % merge with the object
before, 20 % lose their border, 20 % gain one, 20 % are shifted by up to two voxels, 12 % stay; then balls are
invented. RandomState, because NumPy froze its stream.
"""

import numpy as np
from scipy import ndimage


def perturb(labels_true, seed, invented=0.1):
    """A prediction for these labels; same shape, uint32. Ids are small, because they index `find_objects`."""
    draw = np.random.RandomState(seed)
    out = np.zeros(labels_true.shape, np.uint32)
    following, before, seen = 1, 0, 0
    for index, box in enumerate(ndimage.find_objects(labels_true.astype(np.int32))):
        if box is None:
            continue
        seen += 1
        lot = draw.randint(0, 100)
        shift = draw.randint(-2, 3, size=labels_true.ndim)
        wide = tuple(
            slice(max(side.start - 3, 0), min(side.stop + 3, size))
            for side, size in zip(box, labels_true.shape, strict=True)
        )
        mask, target, free = labels_true[wide] == index + 1, out[wide], out[wide] == 0
        if lot < 8:
            continue
        if lot < 18:
            half = _first_half(mask, axis=int(np.argmax([side.stop - side.start for side in box])))
            target[mask & half & free] = following
            target[mask & ~half & free] = following + 1
            before, following = following + 1, following + 2
            continue
        if lot < 28 and before:
            target[mask & free] = before
            continue
        changed = _changed(mask, labels_true[wide], lot, shift) & free
        if changed.any():
            target[changed] = following
            before, following = following, following + 1
    for _ in range(max(1, int(seen * invented))):
        radius = draw.randint(3, 9)
        centre = [draw.randint(0, size) for size in labels_true.shape]
        wide = tuple(
            slice(max(middle - radius, 0), min(middle + radius + 1, size))
            for middle, size in zip(centre, labels_true.shape, strict=True)
        )
        away = sum((axis - middle) ** 2 for axis, middle in zip(np.ogrid[wide], centre, strict=True))
        ball = (away <= radius * radius) & (out[wide] == 0) & (labels_true[wide] == 0)
        if ball.any():
            out[wide][ball] = following
            following += 1
    return out


def _first_half(mask, axis):
    places = np.sort(np.nonzero(mask)[axis])
    index = np.arange(mask.shape[axis]).reshape([-1 if k == axis else 1 for k in range(mask.ndim)])
    return np.broadcast_to(index < places[places.size // 2], mask.shape)


def _changed(mask, labels, lot, shift):
    cross = ndimage.generate_binary_structure(mask.ndim, 1)
    if lot < 48:
        return ndimage.binary_erosion(mask, cross)
    if lot < 68:
        return ndimage.binary_dilation(mask, cross) & ((labels == 0) | mask)
    if lot < 88:
        moved = np.zeros_like(mask)
        places = np.stack(np.nonzero(mask)) + shift[:, None]
        inside = np.all((places >= 0) & (places < np.array(mask.shape)[:, None]), axis=0)
        moved[tuple(places[:, inside])] = True
        return moved
    return mask
