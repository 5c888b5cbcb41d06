"""The prediction container: what writes it, what opens it, and what opens other forms. Nothing here scores."""

from mitobench.benchmark.container.loose import check_values, find_volumes, open_volume, slabs
from mitobench.benchmark.container.opening import (
    FoundPrediction,
    OpenPrediction,
    container_at,
    find_prediction,
    open_prediction,
    read_manifest,
)
from mitobench.benchmark.container.reader import Container, ContainerArray, open_container
from mitobench.benchmark.container.writer import CONTAINER, PredictionWriter
from mitobench.benchmark.manifest import MANIFEST, Manifest

__all__ = [
    "CONTAINER",
    "MANIFEST",
    "Container",
    "ContainerArray",
    "FoundPrediction",
    "Manifest",
    "OpenPrediction",
    "PredictionWriter",
    "check_values",
    "container_at",
    "find_prediction",
    "find_volumes",
    "open_container",
    "open_prediction",
    "open_volume",
    "read_manifest",
    "slabs",
]
