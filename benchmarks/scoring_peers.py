"""One adapter for each peer that scoring.py times: arrays in, scores out. Nothing is timed here.

`PEERS[(task, name)]()` imports the peer and returns a function (true, pred, spacing) -> dict of scores. Masks are
uint8 (0, 1), labels uint32; `io` gets the paths of two zarr arrays. A peer that is not installed raises ImportError.
Peers without a package on PyPI are used from a checkout, see SRC.
"""

# ruff: noqa: B905, C408, E501, E731, NPY001, PTH118, RUF015, RUF059  (adapters are kept as short as their peers allow)
from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import math
import os
import sys
import types

import numpy as np

TOL = 2.0  # of the surface Dice, in units of the spacing
THRS = [k / 20 for k in range(10, 20)]  # 0.50 .. 0.95 as exact halves of tenths
SRC: dict[str, str] = {}  # name -> folder of a checkout
PEERS: dict[tuple[str, str], object] = {}
OURS = "mitobench"


def peer(task, name):
    def keep(make):
        PEERS[(task, name)] = make
        return make

    return keep


def _path(name):
    if name in SRC and SRC[name] not in sys.path:
        sys.path.insert(0, SRC[name])


def _file_module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------ scores from a table
def binary_scores(tp, ng, np_):
    fp, fn = np_ - tp, ng - tp
    d = tp + fp + fn
    return dict(
        iou=tp / d if d else 1.0,
        dice=2 * tp / (ng + np_) if d else 1.0,
        precision=tp / np_ if np_ else float("nan"),
        recall=tp / ng if ng else float("nan"),
        tp=tp,
        fp=fp,
        fn=fn,
    )


def instance_scores(a, b, c):
    """From a sparse contingency table (gt id, pred id, voxels), background 0 in both. Thresholds are compared as
    integers (20*inter >= k*union), so that an IoU of exactly 7/10 meets 0.70. For IoU > 1/2 a pair is unique. At
    exactly 1/2 one object can tie with two others only when it is their exact union in equal halves, and then those two
    meet nothing else: a greedy choice is optimal, no assignment solver is needed for any threshold >= 1/2."""
    a = a.astype(np.int64)
    b = b.astype(np.int64)
    ga, gi = np.unique(a, return_inverse=True)
    pb, pi = np.unique(b, return_inverse=True)
    sg = np.bincount(gi, weights=c).astype(np.int64)
    sp = np.bincount(pi, weights=c).astype(np.int64)
    m = (a > 0) & (b > 0)
    inter = c[m].astype(np.int64)
    uni = sg[gi[m]] + sp[pi[m]] - inter
    n_t, n_p = int((ga > 0).sum()), int((pb > 0).sum())
    out, accs = {}, []
    for k in range(10, 20):
        ok = 20 * inter >= k * uni
        if k == 10:
            o = np.lexsort((pi[m][ok], gi[m][ok], -inter[ok] / uni[ok]))
            ug, up, iou = set(), set(), 0.0
            for g, p, i, u in zip(gi[m][ok][o], pi[m][ok][o], inter[ok][o], uni[ok][o]):
                if g not in ug and p not in up:
                    ug.add(g)
                    up.add(p)
                    iou += i / u
            tp = len(ug)
            d = tp + 0.5 * (n_p - tp) + 0.5 * (n_t - tp)
            out.update(
                tp50=tp,
                n_true=n_t,
                n_pred=n_p,
                f1_50=tp / d if d else 1.0,
                pq=float(iou / d) if d else 1.0,
                sq=float(iou / tp) if tp else 0.0,
                rq=tp / d if d else 1.0,
            )
        else:
            tp = int(ok.sum())
        den = n_t + n_p - tp
        accs.append(tp / den if den else 1.0)
    out.update(ap50=accs[0], ap75=accs[5], ap=float(np.mean(accs)))
    return out


def voi_scores(a, b, c, ignore_gt=(0,)):
    """Voxels whose GT label is background are not counted (CREMI). voi_*, are: prediction background is one ordinary
    segment (what elf, funlib and scikit-image compute). *_single: every missed voxel is its own segment (SNEMI3D's
    intent). *_fg: only voxels that are foreground in both (gala's default). log base 2, squared counts (no minus n)."""
    k = ~np.isin(a, list(ignore_gt))
    a, b, c = a[k], b[k], c[k].astype(float)

    def one(a, b, c, bg):
        n = c.sum()
        if n == 0:
            return 0.0, 0.0, 0.0
        sa = np.bincount(np.unique(a, return_inverse=True)[1], weights=c)
        z = (b == 0) if bg else np.zeros(b.shape, bool)
        m = c[z].sum()  # m singleton voxels
        sb = (
            np.bincount(np.unique(b[~z], return_inverse=True)[1], weights=c[~z])
            if (~z).any()
            else np.zeros(0)
        )
        h = lambda v: float(-(v / n * np.log2(v / n)).sum())
        hs = m / n * math.log2(n)
        ha, hb, hab = h(sa), h(sb) + hs, h(c[~z]) + hs
        s = float((c[~z] ** 2).sum() + m)
        return float(hab - ha), float(hab - hb), 1 - 2 * s / float((sa**2).sum() + (sb**2).sum() + m)

    out = {}
    f = b != 0
    for tag, r in (
        ("", one(a, b, c, False)),
        ("_single", one(a, b, c, True)),
        ("_fg", one(a[f], b[f], c[f], False)),
    ):
        out.update({"voi_split" + tag: r[0], "voi_merge" + tag: r[1], "are" + tag: r[2]})
    return out


# ------------------------------------------------------------------ oracle: plain NumPy, slow, obviously right
def _oracle_table(gt, pred):
    key = (gt.ravel().astype(np.uint64) << np.uint64(32)) | pred.ravel().astype(np.uint64)
    u, c = np.unique(key, return_counts=True)
    return (u >> np.uint64(32)).astype(np.int64), (u & np.uint64(0xFFFFFFFF)).astype(np.int64), c


@peer("binary", "numpy oracle (a&b).sum()")
def _():
    def f(gt, pred, sp):
        g, p = gt.astype(bool), pred.astype(bool)
        return binary_scores(int((g & p).sum()), int(g.sum()), int(p.sum()))

    return f


@peer("binary", "numpy count_nonzero")
def _():
    def f(gt, pred, sp):
        g, p = gt.view(bool), pred.view(bool)
        return binary_scores(int(np.count_nonzero(g & p)), int(np.count_nonzero(g)), int(np.count_nonzero(p)))

    return f


@peer("instance", "numpy oracle (unique)")
def _():
    return lambda gt, pred, sp: instance_scores(*_oracle_table(gt, pred))


@peer("voi", "numpy oracle (unique)")
def _():
    return lambda gt, pred, sp: voi_scores(*_oracle_table(gt, pred))


@peer("surface", "scipy oracle (edt)")
def _():
    from scipy import ndimage as ndi

    def f(gt, pred, sp):
        g, p = gt.astype(bool), pred.astype(bool)
        bg, bp = g ^ ndi.binary_erosion(g), p ^ ndi.binary_erosion(p)
        dp = ndi.distance_transform_edt(~bg, sampling=sp)[bp]
        dg = ndi.distance_transform_edt(~bp, sampling=sp)[bg]
        return _surf(dg, dp)

    return f


def _surf(dg, dp):
    return dict(
        nsd=float(((dg <= TOL).sum() + (dp <= TOL).sum()) / (dg.size + dp.size)),
        hd95=float(max(np.percentile(dg, 95), np.percentile(dp, 95))),
        hd95_pooled=float(np.percentile(np.r_[dg, dp], 95)),
        hd=float(max(dg.max(), dp.max())),
    )


# ------------------------------------------------------------------ peers: binary
@peer("binary", "torchmetrics binary_jaccard_index")
def _():
    import torch
    from torchmetrics.functional.classification import binary_jaccard_index as j

    return lambda gt, pred, sp: dict(iou=float(j(torch.from_numpy(pred), torch.from_numpy(gt))))


@peer("binary", "torchmetrics segmentation mean_iou+dice")
def _():
    import torch
    from torchmetrics.functional.segmentation import dice_score, mean_iou

    def f(gt, pred, sp):
        g, p = torch.from_numpy(gt)[None, None].bool(), torch.from_numpy(pred)[None, None].bool()
        return dict(
            iou=float(mean_iou(p, g, num_classes=1, include_background=True).mean()),
            dice=float(dice_score(p, g, num_classes=1, include_background=True).mean()),
        )

    return f


@peer("binary", "monai compute_iou+compute_dice")
def _():
    import torch
    from monai.metrics import compute_dice, compute_iou

    def f(gt, pred, sp):
        g, p = torch.from_numpy(gt)[None, None], torch.from_numpy(pred)[None, None]
        return dict(iou=float(compute_iou(p, g)), dice=float(compute_dice(p, g)))

    return f


@peer("binary", "sklearn jaccard_score")
def _():
    from sklearn.metrics import jaccard_score

    return lambda gt, pred, sp: dict(iou=float(jaccard_score(gt.ravel(), pred.ravel())))


@peer("binary", "sklearn confusion_matrix")
def _():
    from sklearn.metrics import confusion_matrix

    def f(gt, pred, sp):
        c = confusion_matrix(gt.ravel(), pred.ravel(), labels=[0, 1])
        return binary_scores(int(c[1, 1]), int(c[1].sum()), int(c[:, 1].sum()))

    return f


@peer("binary", "nnU-Net compute_tp_fp_fn_tn")
def _():
    from nnunetv2.evaluation.evaluate_predictions import compute_tp_fp_fn_tn as ct

    def f(gt, pred, sp):
        tp, fp, fn, tn = map(int, ct(gt == 1, pred == 1))
        return binary_scores(tp, tp + fn, tp + fp)

    return f


@peer("binary", "SimpleITK LabelOverlapMeasures")
def _():
    import SimpleITK as sitk

    def f(gt, pred, sp):
        o = sitk.LabelOverlapMeasuresImageFilter()
        o.Execute(sitk.GetImageFromArray(gt), sitk.GetImageFromArray(pred))
        return dict(iou=o.GetJaccardCoefficient(1), dice=o.GetDiceCoefficient(1))

    return f


@peer("binary", "segmentation_models_pytorch get_stats")
def _():
    import segmentation_models_pytorch as smp
    import torch

    def f(gt, pred, sp):
        st = smp.metrics.get_stats(
            torch.from_numpy(pred)[None, None], torch.from_numpy(gt)[None, None], mode="binary"
        )
        return dict(
            iou=float(smp.metrics.iou_score(*st, reduction="micro")),
            dice=float(smp.metrics.f1_score(*st, reduction="micro")),
        )

    return f


@peer("binary", "medpy jc+dc")
def _():
    from medpy.metric.binary import dc, jc

    return lambda gt, pred, sp: dict(iou=float(jc(pred, gt)), dice=float(dc(pred, gt)))


@peer("binary", "miseval IoU+DSC")
def _():
    from miseval import evaluate

    return lambda gt, pred, sp: dict(
        iou=float(evaluate(gt, pred, "IoU")), dice=float(evaluate(gt, pred, "DSC"))
    )


@peer("binary", "elf dice_score")
def _():
    from elf.evaluation import dice_score

    return lambda gt, pred, sp: dict(dice=float(dice_score(pred, gt)))


@peer("binary", "seg_metrics write_metrics")
def _():
    import seg_metrics.seg_metrics as sg

    def f(gt, pred, sp):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            m = sg.write_metrics(labels=[1], gdth_img=gt, pred_img=pred, metrics=["jaccard", "dice"])
        m = m[0] if isinstance(m, list) else m
        return dict(iou=float(np.ravel(m["jaccard"])[0]), dice=float(np.ravel(m["dice"])[0]))

    return f


def _metrics_reloaded():
    _path("MetricsReloaded")
    from MetricsReloaded.metrics.pairwise_measures import BinaryPairwiseMeasures as B

    return B


@peer("binary", "MetricsReloaded IoU+DSC")
def _():
    B = _metrics_reloaded()

    def f(gt, pred, sp):
        m = B(pred, gt)
        return dict(iou=float(m.intersection_over_union()), dice=float(m.dsc()))

    return f


# ------------------------------------------------------------------ peers: instance
@peer("instance", "stardist matching x10")
def _():
    from stardist.matching import matching

    def f(gt, pred, sp):
        r = matching(gt, pred, thresh=THRS)
        return dict(
            ap=float(np.mean([q.accuracy for q in r])),
            ap50=r[0].accuracy,
            ap75=r[5].accuracy,
            tp50=r[0].tp,
            f1_50=r[0].f1,
            pq=float(r[0].panoptic_quality),
            sq=float(r[0].mean_matched_score),
            n_true=r[0].n_true,
            n_pred=r[0].n_pred,
        )

    return f


@peer("instance", "cellpose average_precision x10")
def _():
    from cellpose.metrics import average_precision

    def f(gt, pred, sp):
        ap, tp, fp, fn = average_precision(gt, pred, threshold=list(THRS))
        return dict(ap=float(ap.mean()), ap50=float(ap[0]), ap75=float(ap[5]), tp50=int(tp[0]))

    return f


@peer("instance", "elf mean_segmentation_accuracy")
def _():
    from elf.evaluation import mean_segmentation_accuracy as msa

    def f(gt, pred, sp):
        m, a = msa(pred, gt, thresholds=THRS, return_accuracies=True)
        return dict(ap=float(m), ap50=float(a[0]), ap75=float(a[5]))

    return f


@peer("instance", "panoptica PQ")
def _():
    import panoptica as pa

    with contextlib.suppress(Exception):
        pa.disable_citation_reminder()

    def f(gt, pred, sp):
        ev = pa.Panoptica_Evaluator(
            expected_input=pa.InputType.UNMATCHED_INSTANCE,
            instance_matcher=pa.NaiveThresholdMatching(),
            instance_metrics=[pa.Metric.IOU],
            global_metrics=[],
        )
        r = list(ev.evaluate(pred, gt).values())[0]
        r = r[0] if isinstance(r, tuple) else r
        return dict(
            tp50=int(r.tp),
            f1_50=float(r.rq),
            pq=float(r.pq),
            sq=float(r.sq),
            rq=float(r.rq),
            n_true=int(r.n_ref_instances),
            n_pred=int(r.n_pred_instances),
        )

    return f


@peer("instance", "torchmetrics PanopticQuality")
def _():
    import torch
    from torchmetrics.functional.detection import panoptic_quality as pq

    def f(gt, pred, sp):
        mk = lambda a: torch.from_numpy(np.stack([(a > 0).astype(np.int64), a.astype(np.int64)], -1))[None]
        r = pq(mk(pred), mk(gt), things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
        v = r.reshape(-1, 3)[0] if r.ndim > 1 else r
        return dict(pq=float(v[0]), sq=float(v[1]), rq=float(v[2]))

    return f


@peer("instance", "monai compute_panoptic_quality")
def _():
    import torch
    from monai.metrics.panoptic_quality import compute_panoptic_quality as pq

    def f(gt, pred, sp):
        tp, fp, fn, s = map(
            float,
            pq(
                torch.from_numpy(pred.astype(np.int32)),
                torch.from_numpy(gt.astype(np.int32)),
                output_confusion_matrix=True,
            ),
        )
        d = tp + fp / 2 + fn / 2
        return dict(tp50=int(tp), pq=s / d, sq=s / tp, rq=tp / d, f1_50=tp / d)

    return f


@peer("instance", "MitoEM mAP_3Dvolume")
def _():
    _path("mAP_3Dvolume")
    if not hasattr(np, "float"):
        np.float = float  # it still uses the alias that NumPy 1.24 removed
    from vol3d_eval import VOL3Deval
    from vol3d_util import seg_iou3d_sorted

    rng = np.array([[0, 10**10], [0, 5000], [5000, 15000], [15000, 10**10]])

    def f(gt, pred, sp):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            ui, uc = np.unique(pred, return_counts=True)
            s = np.stack([ui[ui > 0], uc[ui > 0]], 1).astype(int)
            rp, rf, sc = seg_iou3d_sorted(pred, gt, s, rng)
            v = VOL3Deval(rp, rf, sc, output_name="")
            v.params.areaRng = rng
            v.accumulate()
            v.summarize()
        return dict(mitoem_ap=float(v.stats[0]), mitoem_ap50=float(v.stats[1]), mitoem_ap75=float(v.stats[2]))

    return f


@peer("instance", "cellmap match_instances")
def _():
    root = SRC["cellmap"]
    p = os.path.join(root, "src", "cellmap_segmentation_challenge")
    for n, d in (("", ""), (".utils", "/utils"), (".utils.eval_utils", "/utils/eval_utils")):
        m = types.ModuleType("cellmap_segmentation_challenge" + n)
        m.__path__ = [p + d]
        sys.modules[m.__name__] = m
    c = types.ModuleType("cellmap_segmentation_challenge.config")
    c.SUBMISSION_PATH = c.TRUTH_PATH = "none"
    c.INSTANCE_CLASSES = ["mito"]
    sys.modules[c.__name__] = c
    mi = importlib.import_module(
        "cellmap_segmentation_challenge.utils.eval_utils.instance_matching"
    ).match_instances
    return lambda gt, pred, sp: dict(tp_any_overlap=len(mi(gt, pred)))


# ------------------------------------------------------------------ peers: VOI / adapted Rand
@peer("voi", "skimage voi+adapted_rand")
def _():
    from skimage.metrics import adapted_rand_error, variation_of_information

    def f(gt, pred, sp):
        s, m = variation_of_information(gt, pred, ignore_labels=(0,))
        e, pr, rc = adapted_rand_error(gt, pred, ignore_labels=(0,))
        return dict(voi_split=float(s), voi_merge=float(m), are=float(e), prec=float(pr), rec=float(rc))

    return f


@peer("voi", "elf rand_index+voi")
def _():
    from elf.evaluation import rand_index, variation_of_information

    def f(gt, pred, sp):
        s, m = variation_of_information(pred, gt, ignore_gt=[0])
        e, ri = rand_index(pred, gt, ignore_gt=[0])
        return dict(voi_split=float(s), voi_merge=float(m), are=float(e))

    return f


@peer("voi", "elf cremi_score")
def _():
    from elf.evaluation import cremi_score

    def f(gt, pred, sp):
        s, m, e, _ = cremi_score(pred, gt, ignore_gt=[0])
        return dict(voi_split=float(s), voi_merge=float(m), are=float(e))

    return f


@peer("voi", "bioimage_cpp segmentation_overlap (table only)")
def _():
    import bioimage_cpp as b

    def f(gt, pred, sp):
        t = b.utils.segmentation_overlap(gt, pred).overlap_table()
        return voi_scores(t["label_a"].astype(np.int64), t["label_b"].astype(np.int64), t["count"])

    return f


@peer("voi", "sklearn contingency_matrix (table only)")
def _():
    from sklearn.metrics.cluster import contingency_matrix

    def f(gt, pred, sp):
        t = contingency_matrix(gt.ravel(), pred.ravel(), sparse=True).tocoo()
        return voi_scores(np.unique(gt)[t.row].astype(np.int64), t.col.astype(np.int64), t.data)

    return f


@peer("voi", "funlib.evaluate rand_voi")
def _():
    from funlib.evaluate import rand_voi

    def f(gt, pred, sp):
        r = rand_voi(gt.astype(np.uint64), pred.astype(np.uint64))
        p, q = r["rand_merge"], r["rand_split"]
        return dict(
            voi_split=float(r["voi_split"]),
            voi_merge=float(r["voi_merge"]),
            are=float(1 - 2 * p * q / (p + q)),
        )

    return f


@peer("voi", "cremi voi+adapted_rand")
def _():
    d = os.path.join(SRC["cremi"], "cremi", "evaluation")
    ld = lambda n: _file_module(f"cremi_{n}", os.path.join(d, n + ".py"))
    v, r = ld("voi"), ld("rand")

    def f(gt, pred, sp):
        s, m = v.voi(pred, gt)
        return dict(voi_split=float(s), voi_merge=float(m), are=float(r.adapted_rand(pred, gt)))

    return f


# ------------------------------------------------------------------ peers: surface
@peer("surface", "surface-distance (DeepMind)")
def _():
    _path("surface_distance")
    import surface_distance as sd

    def f(gt, pred, sp):
        d = sd.compute_surface_distances(gt.astype(bool), pred.astype(bool), sp)
        return dict(
            nsd_surfel=float(sd.compute_surface_dice_at_tolerance(d, TOL)),
            hd95_surfel=float(sd.compute_robust_hausdorff(d, 95)),
        )

    return f


@peer("surface", "monai surface_dice+hausdorff95")
def _():
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    def f(gt, pred, sp):
        g, p = torch.from_numpy(gt)[None, None], torch.from_numpy(pred)[None, None]
        return dict(
            nsd=float(compute_surface_dice(p, g, [TOL], include_background=True, spacing=sp)),
            hd95=float(compute_hausdorff_distance(p, g, include_background=True, percentile=95, spacing=sp)),
        )

    return f


@peer("surface", "monai surface_dice use_subvoxels")
def _():
    import torch
    from monai.metrics import compute_surface_dice

    def f(gt, pred, sp):
        g, p = torch.from_numpy(gt)[None, None], torch.from_numpy(pred)[None, None]
        return dict(
            nsd_surfel=float(
                compute_surface_dice(p, g, [TOL], include_background=True, spacing=sp, use_subvoxels=True)
            )
        )

    return f


@peer("surface", "torchmetrics hausdorff_distance")
def _():
    import torch
    from torchmetrics.functional.segmentation import hausdorff_distance as hd

    def f(gt, pred, sp):
        g, p = torch.from_numpy(gt)[None, None].bool(), torch.from_numpy(pred)[None, None].bool()
        return dict(hd=float(hd(p, g, num_classes=1, include_background=True, spacing=list(sp))))

    return f


@peer("surface", "medpy hd95")
def _():
    from medpy.metric.binary import hd95

    return lambda gt, pred, sp: dict(hd95_pooled=float(hd95(pred, gt, voxelspacing=sp)))


@peer("surface", "MetricsReloaded NSD+HD95")
def _():
    B = _metrics_reloaded()

    def f(gt, pred, sp):
        m = B(pred, gt, pixdim=list(sp), dict_args=dict(nsd=TOL, hd_perc=95))
        return dict(
            nsd=float(m.normalised_surface_distance()), hd95=float(m.measured_hausdorff_distance_perc())
        )

    return f


@peer("surface", "SimpleITK HausdorffDistance")
def _():
    import SimpleITK as sitk

    def f(gt, pred, sp):
        a, b = sitk.GetImageFromArray(gt), sitk.GetImageFromArray(pred)
        a.SetSpacing(tuple(sp[::-1]))
        b.SetSpacing(tuple(sp[::-1]))
        h = sitk.HausdorffDistanceImageFilter()
        h.Execute(a, b)
        return dict(hd_solid=h.GetHausdorffDistance())

    return f


@peer("surface", "seg_metrics hd95")
def _():
    import seg_metrics.seg_metrics as sg

    def f(gt, pred, sp):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            m = sg.write_metrics(
                labels=[1], gdth_img=gt, pred_img=pred, metrics=["hd95", "hd"], spacing=list(sp)
            )
        m = m[0] if isinstance(m, list) else m
        return dict(hd95_segmetrics=float(np.ravel(m["hd95"])[0]), hd=float(np.ravel(m["hd"])[0]))

    return f


@peer("surface", "panoptica surface pair")
def _():
    from panoptica.metrics._surface_distances import (
        _hd95_from_pair as h,
    )
    from panoptica.metrics._surface_distances import (
        _nsd_from_pair as n,
    )
    from panoptica.metrics._surface_distances import (
        _surface_distance_pair as sp_,
    )

    def f(gt, pred, sp):
        a, b = sp_(gt.astype(bool), pred.astype(bool), voxelspacing=sp)
        return dict(nsd_meanofsides=float(n(a, b, threshold=TOL)), hd95_pooled=float(h(a, b)))

    return f


@peer("surface", "edt (seung-lab, 2 threads) + numpy")
def _():
    import edt
    from scipy import ndimage as ndi

    def f(gt, pred, sp):
        g, p = gt.astype(bool), pred.astype(bool)
        bg, bp = g ^ ndi.binary_erosion(g), p ^ ndi.binary_erosion(p)
        return _surf(edt.edt(~bp, anisotropy=sp, parallel=2)[bg], edt.edt(~bg, anisotropy=sp, parallel=2)[bp])

    return f


# ------------------------------------------------------------------ peers: connected components (of the prediction mask)
@peer("cc", "scipy.ndimage.label (6)")
def _():
    from scipy import ndimage as ndi

    return lambda gt, pred, sp: dict(n6=int(ndi.label(pred)[1]))


@peer("cc", "cc3d 6")
def _():
    import cc3d

    return lambda gt, pred, sp: dict(
        n6=int(cc3d.connected_components(pred, connectivity=6, return_N=True)[1])
    )


@peer("cc", "cc3d 6 binary_image")
def _():
    import cc3d

    return lambda gt, pred, sp: dict(
        n6=int(cc3d.connected_components(pred, connectivity=6, return_N=True, binary_image=True)[1])
    )


@peer("cc", "cc3d 26")
def _():
    import cc3d

    return lambda gt, pred, sp: dict(
        n26=int(cc3d.connected_components(pred, connectivity=26, return_N=True)[1])
    )


@peer("cc", "skimage.measure.label (1)")
def _():
    from skimage.measure import label

    return lambda gt, pred, sp: dict(n6=int(label(pred, connectivity=1, return_num=True)[1]))


@peer("cc", "SimpleITK ConnectedComponent")
def _():
    import SimpleITK as sitk

    def f(gt, pred, sp):
        c = sitk.ConnectedComponentImageFilter()
        sitk.GetArrayViewFromImage(c.Execute(sitk.GetImageFromArray(pred)))
        return dict(n6=int(c.GetObjectCount()))

    return f


@peer("cc", "bioimage_cpp label")
def _():
    import bioimage_cpp as b

    def f(gt, pred, sp):
        r = b.segmentation.label(pred)
        r = r[0] if isinstance(r, tuple) else r
        return dict(n_default=int(r.max()))

    return f


# ------------------------------------------------------------------ streaming over zarr
@peer("io", "zarr load whole + skimage voi+arand")
def _():
    import zarr
    from skimage.metrics import adapted_rand_error, variation_of_information

    def f(gt, pred, sp):
        g, p = zarr.open_array(gt, mode="r")[:], zarr.open_array(pred, mode="r")[:]
        s, m = variation_of_information(g, p, ignore_labels=(0,))
        return dict(voi_split=float(s), voi_merge=float(m), are=float(adapted_rand_error(g, p)[0]))

    return f


@peer("io", "zarr load whole + stardist matching x10")
def _():
    import zarr
    from stardist.matching import matching

    def f(gt, pred, sp):
        r = matching(zarr.open_array(gt, mode="r")[:], zarr.open_array(pred, mode="r")[:], thresh=THRS)
        return dict(ap=float(np.mean([q.accuracy for q in r])))

    return f


@peer("io", "zarr decode only (limit)")
def _():
    import zarr

    def f(gt, pred, sp):
        n = 0
        for path in (gt, pred):
            z = zarr.open_array(path, mode="r")
            for s in range(0, z.shape[0], z.chunks[0]):
                n += z[s : s + z.chunks[0]].size
        return dict(n=n)

    return f


# ------------------------------------------------------------------ mitobench
def _kernels(choice):
    """Both ways of mitobench, each in a process of its own."""
    if choice == "numba":
        importlib.import_module("numba")
    os.environ["MITOBENCH_KERNELS"] = choice


def _wanted(scores, *keys):
    return {key: scores[key] for key in keys}


for _choice in ("numba", "numpy"):

    @peer("binary", f"{OURS} ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics.semantic import mask_counts, semantic_scores

        return lambda gt, pred, sp: semantic_scores(mask_counts(labels_true=gt, labels_pred=pred))

    @peer("instance", f"{OURS} ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics import overlap_table
        from mitobench.metrics.instance import instance_scores, pairs_of

        def f(gt, pred, sp):
            s = instance_scores([pairs_of(overlap_table(labels_true=gt, labels_pred=pred))])
            return dict(
                ap=s["msa"],
                ap50=s["seg_acc_50"],
                ap75=s["seg_acc_75"],
                f1_50=s["f1_50"],
                pq=s["pq"],
            )

        return f

    @peer("voi", f"{OURS} ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics import overlap_table
        from mitobench.metrics.split_merge import split_merge_scores

        def f(gt, pred, sp):
            s = split_merge_scores([overlap_table(labels_true=gt, labels_pred=pred)])
            return dict(voi_split=s["voi_split_cremi"], voi_merge=s["voi_merge_cremi"], are=s["are_cremi"])

        return f

    @peer("surface", f"{OURS} ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics import surface_scores, surface_table

        def f(gt, pred, sp):
            t = surface_table(labels_true=gt, labels_pred=pred, voxel_size_nm=sp, cells=False, band_nm=None)
            s = surface_scores(t, tolerances_nm=[TOL])
            return dict(nsd=s[f"nsd_{TOL:g}nm"], **_wanted(s, "hd95", "hd95_pooled", "hd"))

        return f

    @peer("surface", f"{OURS} ({_choice}), with surface elements and boundary IoU")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics import surface_scores, surface_table

        def f(gt, pred, sp):
            t = surface_table(labels_true=gt, labels_pred=pred, voxel_size_nm=sp, band_nm=2.0)
            s = surface_scores(t, tolerances_nm=[TOL])
            return dict(
                nsd=s[f"nsd_{TOL:g}nm"],
                nsd_surfel=s[f"nsd_surfel_{TOL:g}nm"],
                **_wanted(s, "hd95", "hd95_pooled", "boundary_iou"),
            )

        return f

    @peer("cc", f"{OURS} runs 6 ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics.mask_runs import mask_runs

        return lambda gt, pred, sp: dict(n6=mask_runs(pred).count)

    @peer("cc", f"{OURS} runs 26 ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.metrics.mask_runs import mask_runs

        return lambda gt, pred, sp: dict(n26=mask_runs(pred, connectivity=26).count)

    @peer("io", f"{OURS} ({_choice})")
    def _(choice=_choice):
        _kernels(choice)
        from mitobench.arrays import open_array
        from mitobench.metrics import score_tables
        from mitobench.metrics.stream import PairBlocks, stream_table

        def f(gt, pred, sp):
            arrays = (open_array(path) for path in (gt, pred))
            s = score_tables([stream_table(PairBlocks(labels_true=next(arrays), labels_pred=next(arrays)))])
            return dict(
                ap=s["msa"],
                voi_split=s["voi_split_cremi"],
                voi_merge=s["voi_merge_cremi"],
                are=s["are_cremi"],
            )

        return f
