"""Peers of the scores that come from the overlap table: libraries, and slow computations from sets of voxels."""

import contextlib
import io
import math

import numpy as np
import pandas as pd
from peers import Case, peer

PERCENTS = range(50, 100, 5)


# ---------------------------------------------------------------- voxels


@peer("scikit-learn")
def scikit_learn(case: Case) -> dict[str, float]:
    """Its `precision` and `recall` of voxels, and clusterings of the voxels that the conventions let count."""
    from sklearn import metrics

    true, pred = (mask.ravel() for mask in case.masks)
    scores = {
        "iou": metrics.jaccard_score(true, pred),
        "dice": metrics.f1_score(true, pred),
        "precision": metrics.precision_score(true, pred),
        "recall": metrics.recall_score(true, pred),
    }
    for ending, labels_true, labels_pred in _conventions(case):
        (_, merged), (split, together) = metrics.pair_confusion_matrix(labels_true, labels_pred).astype(float)
        together += labels_true.size  # it leaves out the pairs of a voxel with itself
        scores |= _rand(ending, together, together + merged, together + split)
        if ending != "singleton":
            shared = metrics.mutual_info_score(labels_true, labels_pred)
            tail = "_cremi" if ending == "cremi" else ""
            scores[f"voi_split{tail}"] = (_entropy(labels_pred) - shared) / math.log(2)
            scores[f"voi_merge{tail}"] = (_entropy(labels_true) - shared) / math.log(2)
    return scores


@peer("scikit-image")
def scikit_image(case: Case) -> dict[str, float]:
    """Rand precision and recall trade their names, and the voxels it subtracts from the squares are put back."""
    from skimage.metrics import adapted_rand_error, variation_of_information

    scores = {}
    for ending, labels_true, labels_pred in _conventions(case):
        if ending != "singleton":
            tail = "_cremi" if ending == "cremi" else ""
            ours = variation_of_information(labels_true, labels_pred)
            scores |= dict(zip((f"voi_split{tail}", f"voi_merge{tail}"), map(float, ours), strict=True))
        _, called_precision, called_recall = adapted_rand_error(labels_true, labels_pred, ignore_labels=())
        n = labels_true.size
        true_pairs = float((np.bincount(labels_true).astype(float) ** 2).sum())
        together = called_precision * (true_pairs - n)
        scores |= _rand(ending, together + n, together / called_recall + n, true_pairs)
    return scores


def _conventions(case: Case) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, true and predicted labels of the voxels that count."""
    inside, both = case.true > 0, (case.true > 0) & (case.pred > 0)
    fresh = case.pred.astype(np.int64)
    fresh[inside & ~both] = fresh.max() + 1 + np.arange(int((inside & ~both).sum()))
    return [
        ("foreground", case.true[both], case.pred[both]),
        ("singleton", case.true[inside], fresh[inside]),
        ("cremi", case.true[inside], case.pred[inside]),
    ]


def _rand(ending: str, together: float, pred_pairs: float, true_pairs: float) -> dict[str, float]:
    scores = {f"are_{ending}": 1 - 2 * together / (pred_pairs + true_pairs)}
    if ending == "foreground":
        scores |= {"rand_precision": together / pred_pairs, "rand_recall": together / true_pairs}
    return scores


def _entropy(labels: np.ndarray) -> float:
    share = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(share * np.log(share)).sum())


@peer("SimpleITK")
def simple_itk(case: Case) -> dict[str, float]:
    """Its volume similarity is the signed difference over the mean; ours is one minus half its size."""
    import SimpleITK

    measure = SimpleITK.LabelOverlapMeasuresImageFilter()
    true, pred = (SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in case.masks)
    measure.Execute(pred, true)
    return {
        "iou": measure.GetJaccardCoefficient(1),
        "dice": measure.GetDiceCoefficient(1),
        "recall": 1 - measure.GetFalseNegativeError(1),
        "volume_similarity": 1 - abs(measure.GetVolumeSimilarity(1)) / 2,
    }


@peer("torchmetrics", within=1e-6)
def torchmetrics(case: Case) -> dict[str, float]:
    """One thing of category 1 on stuff of category 0; matches are strict."""
    import torch
    from torchmetrics.functional import classification
    from torchmetrics.functional.detection import panoptic_quality

    true, pred = (torch.from_numpy(mask.ravel().astype(np.uint8)) for mask in case.masks)
    scores = {
        "iou": float(classification.binary_jaccard_index(pred, true)),
        "dice": float(classification.binary_f1_score(pred, true)),
        "precision": float(classification.binary_precision(pred, true)),
        "recall": float(classification.binary_recall(pred, true)),
    }
    sides = [
        torch.from_numpy(np.stack([labels > 0, labels], -1).astype(np.int64))[None]
        for labels in (case.pred, case.true)
    ]
    found = panoptic_quality(*sides, things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
    return scores | dict(zip(("pq", "sq", "rq"), found.reshape(-1, 3)[0].tolist(), strict=True))


@peer("MONAI", within=1e-6)
def monai(case: Case) -> dict[str, float]:
    """Its matches are strict, hence the threshold a hair below three quarters; silent on 0.5 in a tie of halves.

    Below one half it would look for the largest sum of IoUs, which is another matching.
    """
    import torch
    from monai.metrics import compute_dice, compute_iou
    from monai.metrics.panoptic_quality import compute_panoptic_quality

    masks = [torch.from_numpy(mask.astype(np.uint8))[None, None] for mask in case.masks[::-1]]
    scores = {"iou": float(compute_iou(*masks)), "dice": float(compute_dice(*masks))}
    sides = [torch.from_numpy(labels.astype(np.int32)) for labels in (case.pred, case.true)]
    scores |= {
        key: float(compute_panoptic_quality(*sides, metric_name=key, smooth_numerator=0))
        for key in ("pq", "sq", "rq")
    }
    true, pred, pairs = case.overlaps
    tied = any(2 * n == true[i] + pred[j] - n for (i, j), n in pairs.items())
    for percent, threshold in ((75, 0.75 - 1e-6),) if tied else ((50, 0.5), (75, 0.75 - 1e-6)):
        counts = compute_panoptic_quality(*sides, match_iou_threshold=threshold, output_confusion_matrix=True)
        scores |= _objects(percent, *counts.tolist())
    return scores


# ---------------------------------------------------------------- objects


def _objects(percent: int, tp: float, fp: float, fn: float, iou_sum: float) -> dict[str, float]:
    scores = {f"f1_{percent}": 2 * tp / (2 * tp + fp + fn), f"seg_acc_{percent}": tp / (tp + fp + fn)}
    if percent == 50:
        found = {"object_precision_50": (tp, fp), "object_recall_50": (tp, fn)}
        scores |= {key: hit / (hit + rest) for key, (hit, rest) in found.items()}
        scores["matched_iou"] = iou_sum / tp
    return scores


@peer("SciPy assignment")
def scipy_assignment(case: Case) -> dict[str, float]:
    """The best one-to-one matching of a dense IoU matrix, as stardist and cellpose look for it."""
    from scipy.optimize import linear_sum_assignment

    true, pred, pairs = case.overlaps
    iou = np.zeros((len(true), len(pred)))
    for (i, j), shared in pairs.items():
        iou[list(true).index(i), list(pred).index(j)] = shared / (true[i] + pred[j] - shared)
    scores = {}
    for percent in PERCENTS:
        good = iou >= percent / 100
        rows, columns = linear_sum_assignment(-(good + iou / (2 * min(iou.shape))))
        chosen = good[rows, columns]
        tp = int(chosen.sum())
        scores |= _objects(
            percent, tp, len(pred) - tp, len(true) - tp, float(iou[rows, columns][chosen].sum())
        )
    return scores | {"msa": sum(scores[f"seg_acc_{percent}"] for percent in PERCENTS) / 10}


@peer("sets of voxels")
def sets_of_voxels(case: Case) -> dict[str, float]:
    """Objects matched one after the other; causes of error by asking the words of each definition about sets."""
    true, pred, pairs = case.overlaps
    scores = {}
    for percent in PERCENTS:
        ious = [n / (true[i] + pred[j] - n) for i, j, n in case.partners(percent)]
        scores |= _objects(percent, len(ious), len(pred) - len(ious), len(true) - len(ious), sum(ious))
    scores["msa"] = sum(scores[f"seg_acc_{percent}"] for percent in PERCENTS) / 10
    partner = {i: j for i, j, _ in case.partners(50)}
    found_true = {i: sum(n for (a, _), n in pairs.items() if a == i) for i in true}
    found_pred = {j: sum(n for (_, b), n in pairs.items() if b == j) for j in pred}
    covers = {j: [i for i in true if 2 * pairs.get((i, j), 0) > true[i]] for j in pred}
    pieces = {i: [j for j in pred if 2 * pairs.get((i, j), 0) > pred[j]] for i in true}

    def cause_of_true(i: int) -> str:
        if 10 * found_true[i] < true[i]:
            return "missed"
        if any(i in inside and len(inside) > 1 for inside in covers.values()):
            return "merged"
        return "split" if len(pieces[i]) > 1 else "boundary"

    def cause_of_pred(j: int) -> str:
        if 10 * found_pred[j] < pred[j]:
            return "invented"
        if len(covers[j]) > 1:
            return "merged"
        return "split" if any(j in parts for parts in pieces.values()) else "boundary"

    wrong = [cause_of_true(i) for i in true if i not in partner]
    wrong += [cause_of_pred(j) for j in pred if j not in partner.values()]
    total = len(true) + len(pred)
    causes = ("missed", "invented", "split", "merged", "boundary")
    scores |= {f"f1_lost_{cause}": wrong.count(cause) / total for cause in causes}
    missed = sum(true[i] - found_true[i] for i in true if 10 * found_true[i] < true[i])
    invented = sum(pred[j] - found_pred[j] for j in pred if 10 * found_pred[j] < pred[j])
    union = sum(true.values()) + sum(pred.values()) - sum(pairs.values())
    lost = {"missed": missed, "invented": invented}
    lost["boundary"] = union - sum(pairs.values()) - missed - invented
    scores |= {f"iou_lost_{cause}": voxels / union for cause, voxels in lost.items()}
    apart = abs(sum(true.values()) - sum(pred.values()))
    return scores | {"volume_similarity": 1 - apart / (sum(true.values()) + sum(pred.values()))}


@peer("pandas crosstab")
def pandas_crosstab(case: Case) -> dict[str, float]:
    """The same causes by arithmetic on whole rows and columns of a dense cross table."""
    full = pd.crosstab(case.true.ravel(), case.pred.ravel()).reindex(
        index=range(int(case.true.max()) + 1), columns=range(int(case.pred.max()) + 1), fill_value=0
    )
    table = full.loc[full.sum(axis=1) > 0, full.sum() > 0].to_numpy()
    size_true, size_pred, n = table[1:].sum(1)[:, None], table[:, 1:].sum(0), table[1:, 1:]
    good = 2 * n >= size_true + size_pred - n
    good &= (good.cumsum(axis=1) == 1) & (good.cumsum(axis=0) == 1)  # of two exact halves the first
    most_true, most_pred = 2 * n > size_true, 2 * n > size_pred
    unseen_true, unseen_pred = 10 * n.sum(1) < size_true[:, 0], 10 * n.sum(0) < size_pred
    merger, cut = most_true.sum(0) > 1, most_pred.sum(1) > 1
    codes_true = np.select(
        [good.any(1), unseen_true, (most_true & merger).any(1), cut],
        ["", "missed", "merged", "split"],
        "boundary",
    )
    codes_pred = np.select(
        [good.any(0), unseen_pred, merger, most_pred.any(0)], ["", "invented", "merged", "split"], "boundary"
    )
    codes = np.concatenate([codes_true, codes_pred])
    scores = {
        f"f1_lost_{cause}": float((codes == cause).mean())
        for cause in ("missed", "invented", "split", "merged", "boundary")
    }
    union = table.sum() - table[0, 0]
    missed, invented = table[1:, 0][unseen_true].sum(), table[0, 1:][unseen_pred].sum()
    scores |= {"iou_lost_missed": missed / union, "iou_lost_invented": invented / union}
    wrong = table[1:, 0].sum() + table[0, 1:].sum()
    return scores | {"iou_lost_boundary": (wrong - missed - invented) / union}


# ---------------------------------------------------------------- ranked objects

CLASSES = {"": (0, 10**10), "_small": (0, 5_000), "_medium": (5_000, 15_000), "_large": (15_000, 10**10)}


@peer("pycocotools")
def coco(case: Case) -> dict[str, float]:
    """A volume laid out as one tall image; objects ranked by voxels. It counts both ends of a size class as inside.

    Silent on IoU 0.5 where an object lies in two exact halves: the challenge takes both for hits, COCO one.
    """
    from pycocotools import mask as masks
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    sides = []
    for labels in (case.true, case.pred):
        flat = np.asfortranarray(labels.reshape(-1, labels.shape[-1]))
        objects = []
        for number, i in enumerate(np.unique(labels[labels > 0]), 1):
            area = int((labels == i).sum())
            shape = masks.encode(np.asfortranarray(flat == i, np.uint8))
            objects.append(
                {
                    "id": number,
                    "image_id": 1,
                    "category_id": 1,
                    "segmentation": shape,
                    "area": area,
                    "bbox": masks.toBbox(shape).tolist(),
                    "score": float(area),
                    "iscrowd": 0,
                }
            )
        side = COCO()
        height, width = flat.shape
        image = {"id": 1, "height": height, "width": width}
        side.dataset = {"images": [image], "categories": [{"id": 1}], "annotations": objects}
        with contextlib.redirect_stdout(io.StringIO()):
            side.createIndex()
        sides.append(side)
    judge = COCOeval(*sides, "segm")
    judge.params.areaRng = [[low + 1, high] for low, high in CLASSES.values()]  # ours exclude the lower end
    judge.params.areaRngLbl = list(CLASSES)
    judge.params.iouThrs = np.array([percent / 100 for percent in PERCENTS])
    judge.params.recThrs = np.arange(101) / 100
    judge.params.maxDets = [10**6]
    with contextlib.redirect_stdout(io.StringIO()):
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"][:, :, 0, :, 0].mean(axis=1)  # threshold, size class
    found = {f"mitoem_ap75{name}": float(table[5, k]) for k, name in enumerate(CLASSES)}
    true, pred, pairs = case.overlaps
    if not any(2 * n == true[i] + pred[j] - n for (i, j), n in pairs.items()):
        found |= {"mitoem_ap": float(table[:, 0].mean()), "mitoem_ap50": float(table[0, 0])}
    return {key: math.nan if value == -1 else value for key, value in found.items()}


@peer("slow ranking")
def slow_ranking(case: Case) -> dict[str, float]:
    """Walk down the ranking one object at a time; for each recall look for the best precision from there on."""
    true, pred, pairs = case.overlaps

    def average(percent: int, bounds: tuple[int, int]) -> float:
        low, high = bounds
        wanted = {i for i, voxels in true.items() if low < voxels <= high}
        if not wanted:
            return math.nan
        points, tp, below = [], 0, 0
        for j in sorted(pred, key=lambda j: (-pred[j], j)):
            partners = [
                i
                for i in true
                if (n := pairs.get((i, j), 0)) and 100 * n >= percent * (true[i] + pred[j] - n)
            ]
            if partners:
                hit, counts = partners[0] in wanted, partners[0] in wanted
            else:
                hit, counts = False, low < pred[j] <= high
            tp, below = tp + hit, below + counts
            points.append((tp, tp / below if below else 0.0))
        read = [
            max((precision for tp, precision in points if 100 * tp >= recall * len(wanted)), default=0.0)
            for recall in range(101)
        ]
        return sum(read) / 101

    curve = {percent: average(percent, CLASSES[""]) for percent in PERCENTS}
    scores = {"mitoem_ap": sum(curve.values()) / 10, "mitoem_ap50": curve[50]}
    return scores | {f"mitoem_ap75{name}": average(75, bounds) for name, bounds in CLASSES.items()}
