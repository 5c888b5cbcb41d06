"""Volumes cut into patches, sampled, and put together again. No torch, no files, no models live here."""

from mitobench.patches.batch import PatchBatch, PatchSample
from mitobench.patches.dataset import Keep, PatchDataset
from mitobench.patches.extent import isotropic_patch_shape, patch_shape_from_nm
from mitobench.patches.gather import cut_patches
from mitobench.patches.grid import Edge, Origins, PatchShape, grid_origins
from mitobench.patches.sample import Balance, PatchTable, RandomPatchSampler, sample_origins
from mitobench.patches.stitch import stitch_patches
from mitobench.patches.stream import PatchStream
from mitobench.patches.window import Weights

__all__ = [
    "Balance",
    "Edge",
    "Keep",
    "Origins",
    "PatchBatch",
    "PatchDataset",
    "PatchSample",
    "PatchShape",
    "PatchStream",
    "PatchTable",
    "RandomPatchSampler",
    "Weights",
    "cut_patches",
    "grid_origins",
    "isotropic_patch_shape",
    "patch_shape_from_nm",
    "sample_origins",
    "stitch_patches",
]
