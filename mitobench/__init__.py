"""Compare mitochondria segmentation models in electron microscopy honestly.

The names users type. Importing this module loads nothing heavy: each name is looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mitobench.api import evaluate as evaluate
    from mitobench.api import predict as predict
    from mitobench.api import score as score
    from mitobench.benchmark.record import Record as Record
    from mitobench.datasets import list_datasets as list_datasets
    from mitobench.datasets import load_card as load_card
    from mitobench.datasets import load_split as load_split
    from mitobench.datasets.export import export_dataset as export_dataset
    from mitobench.datasets.hub import load_hf as load_hf
    from mitobench.datasets.view import view as view
    from mitobench.entries import load_entry as load_entry
    from mitobench.inference import Inference as Inference
    from mitobench.inference import segment_file as segment_file
    from mitobench.metrics import score_arrays as score_arrays
    from mitobench.metrics import score_labels as score_labels
    from mitobench.models import ModelSource as ModelSource
    from mitobench.models import load_segmenter as load_segmenter
    from mitobench.models import train as train
    from mitobench.morphology import measure_labels as measure_labels
    from mitobench.patches import PatchDataset as PatchDataset
    from mitobench.patches import PatchStream as PatchStream
    from mitobench.patches import RandomPatchSampler as RandomPatchSampler
    from mitobench.patches import isotropic_patch_shape as isotropic_patch_shape
    from mitobench.patches import stitch_patches as stitch_patches
    from mitobench.segmenter import Segmentation as Segmentation
    from mitobench.segmenter import Segmenter as Segmenter
    from mitobench.volume import Volume as Volume

__version__ = "0.1.0"

_HOME = {
    "Inference": "mitobench.inference",
    "ModelSource": "mitobench.models",
    "PatchDataset": "mitobench.patches",
    "PatchStream": "mitobench.patches",
    "RandomPatchSampler": "mitobench.patches",
    "Record": "mitobench.benchmark.record",
    "Segmentation": "mitobench.segmenter",
    "Segmenter": "mitobench.segmenter",
    "Volume": "mitobench.volume",
    "evaluate": "mitobench.api",
    "export_dataset": "mitobench.datasets.export",
    "isotropic_patch_shape": "mitobench.patches",
    "list_datasets": "mitobench.datasets",
    "load_card": "mitobench.datasets",
    "load_entry": "mitobench.entries",
    "load_hf": "mitobench.datasets.hub",
    "load_segmenter": "mitobench.models",
    "load_split": "mitobench.datasets",
    "measure_labels": "mitobench.morphology",
    "predict": "mitobench.api",
    "score": "mitobench.api",
    "score_arrays": "mitobench.metrics",
    "score_labels": "mitobench.metrics",
    "segment_file": "mitobench.inference",
    "stitch_patches": "mitobench.patches",
    "train": "mitobench.models",
    "view": "mitobench.datasets.view",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604 - the keys are names


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(
            f"module 'mitobench' has no attribute {name!r}; it has: {', '.join(sorted(_HOME))}"
        )
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
