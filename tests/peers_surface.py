"""Peers of the surface scores: libraries, distance transforms, and every border voxel against every other."""

import numpy as np
from peers import TOLERANCES_NM, Case, mean, peer
from scipy import ndimage

SHELL_NM = 50.0
"""Thickness of the shells of the boundary IoU."""


def _borders(case: Case) -> list[np.ndarray]:
    """Foreground that an erosion takes away; the outside of the array is background."""
    return [mask & ~ndimage.binary_erosion(mask) for mask in case.masks]


def _voxel_scores(there: np.ndarray, back: np.ndarray) -> dict[str, float]:
    both = np.concatenate([there, back])
    scores = {f"nsd_{nm}nm": float((both <= nm * (1 + 1e-6)).mean()) for nm in TOLERANCES_NM}
    return scores | {
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "hd95_pooled": float(np.percentile(both, 95)),
        "hd": float(both.max()),
        "surface_distance": float(both.mean()),
    }


def _shells(depths: list[np.ndarray], masks: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    one, two = (mask & (depth <= SHELL_NM * (1 + 1e-6)) for depth, mask in zip(depths, masks, strict=True))
    return {"boundary_iou": float((one & two).sum() / (one | two).sum())}


@peer("SciPy distance transform")
def scipy_transform(case: Case) -> dict[str, float]:
    """Exact distances to the border of the other side, and to the background."""
    one, two = _borders(case)
    there, back = (
        ndimage.distance_transform_edt(~to, sampling=case.size)[where]
        for where, to in ((one, two), (two, one))
    )
    depths = [
        ndimage.distance_transform_edt(np.pad(mask, 1), sampling=case.size)[1:-1, 1:-1, 1:-1]
        for mask in case.masks
    ]
    return _voxel_scores(there, back) | _shells(depths, case.masks)


@peer("SciPy all pairs")
def scipy_pairs(case: Case) -> dict[str, float]:
    """The smallest of all distances to the other border, without any index; matched objects the same way."""
    scores = _voxel_scores(*_all_pairs(case))
    rows = [_voxel_scores(*_all_pairs(part)) for part in case.matched()]
    return scores | {f"matched_{key}": mean(rows, key) for key in ("hd95", "surface_distance")}


def _all_pairs(case: Case) -> tuple[np.ndarray, np.ndarray]:
    from scipy.spatial.distance import cdist

    one, two = (np.argwhere(border) * case.size for border in _borders(case))
    there = np.concatenate(
        [cdist(part, two).min(axis=1) for part in np.array_split(one, len(one) // 500 + 1)]
    )
    back = np.concatenate([cdist(part, one).min(axis=1) for part in np.array_split(two, len(two) // 500 + 1)])
    return there, back


@peer("SimpleITK distance map", within=1e-5)
def simple_itk_map(case: Case) -> dict[str, float]:
    """Maurer's distance map; the contours are its own as well."""
    import SimpleITK

    def image(mask: np.ndarray) -> "SimpleITK.Image":
        made = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
        made.SetSpacing(case.size[::-1])
        return made

    def away(mask: np.ndarray) -> np.ndarray:
        found = SimpleITK.SignedMaurerDistanceMap(
            image(mask), insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        return np.maximum(SimpleITK.GetArrayFromImage(found), 0)

    padded = [np.pad(mask, 1) for mask in case.masks]
    one, two = (SimpleITK.GetArrayFromImage(SimpleITK.LabelContour(image(mask))) > 0 for mask in padded)
    depths = [away(~mask)[1:-1, 1:-1, 1:-1] for mask in padded]
    return _voxel_scores(away(two)[one], away(one)[two]) | _shells(depths, case.masks)


@peer("MONAI surfaces", within=1e-5)
def monai(case: Case) -> dict[str, float]:
    """Surface Dice of voxels and of surface elements, directed HD95, the maximum and the mean; and per object."""
    scores = _monai_scores(case)
    rows = [_monai_scores(part) for part in case.matched()]
    scores["matched_nsd_25nm"] = mean(rows, "nsd_surfel_25nm")
    return scores | {f"matched_{key}": mean(rows, key) for key in ("hd95", "surface_distance")}


def _monai_scores(case: Case) -> dict[str, float]:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    # a margin, because its surface elements do not reach beyond the array
    true, pred = (torch.from_numpy(np.pad(mask, 1))[None, None] for mask in case.masks)
    common = {"include_background": True, "spacing": case.size}
    scores = {}
    for nm in TOLERANCES_NM:
        near = [nm * (1 + 1e-6)]
        scores[f"nsd_{nm}nm"] = float(compute_surface_dice(pred, true, near, **common))
        scores[f"nsd_surfel_{nm}nm"] = float(
            compute_surface_dice(pred, true, near, use_subvoxels=True, **common)
        )
    return scores | {
        "hd95": float(compute_hausdorff_distance(pred, true, percentile=95, **common)),
        "hd": float(compute_hausdorff_distance(pred, true, **common)),
        "surface_distance": float(compute_average_surface_distance(pred, true, symmetric=True, **common)),
    }


@peer("surface-distance")
def deepmind(case: Case) -> dict[str, float]:
    """The definition of the surface Dice; also per object."""
    scores = {f"nsd_surfel_{nm}nm": _deepmind_dice(case, nm) for nm in TOLERANCES_NM}
    parts = [{"nsd": _deepmind_dice(part, 25)} for part in case.matched()]
    return scores | {"matched_nsd_25nm": mean(parts, "nsd")}


def _deepmind_dice(case: Case, nm: float) -> float:
    import surface_distance

    found = surface_distance.compute_surface_distances(*case.masks, case.size)
    return float(surface_distance.compute_surface_dice_at_tolerance(found, nm * (1 + 1e-9)))
