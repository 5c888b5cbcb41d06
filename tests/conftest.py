"""Fixtures shared by all tests: known volumes, a private data root, the place of real data."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from mitobench.volume import Volume
from mitobench.workers import Workers, open_workers

# A slow example on a busy machine is no bug. In CI the examples are the same every time; elsewhere they are new ones.
settings.register_profile(
    "mitobench",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mitobench")

pytest_plugins = ["site_fixtures"]
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def tiny_volume() -> Volume:
    """Three known blobs, 12 x 24 x 32, voxel size 30 x 8 x 8 nm.

    1: a 4 x 6 x 6 box (144 voxels); 2: a 3 x 5 x 10 box (150); 3: one column through all 12 slices (12 x 2 x 2
    = 48). No two touch. Mitochondria are dark (60) on a grey (150) ground with a little fixed noise.
    """
    labels = np.zeros((12, 24, 32), np.uint16)
    labels[1:5, 2:8, 3:9] = 1
    labels[6:9, 10:15, 4:14] = 2
    labels[:, 20:22, 27:29] = 3
    noise = np.random.default_rng(0).integers(-12, 13, labels.shape)
    image = (np.where(labels > 0, 60, 150) + noise).astype(np.uint8)
    return Volume(
        name="tiny", image=image, labels=labels, label_kind="instance", voxel_size_nm=(30.0, 8.0, 8.0)
    )


@pytest.fixture
def data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root of this test's own; no archive folders and no agreements from outside."""
    root = tmp_path / "data"
    monkeypatch.setenv("MITOBENCH_DATA", str(root))
    monkeypatch.delenv("MITOBENCH_SOURCES", raising=False)
    monkeypatch.delenv("MITOBENCH_AGREE", raising=False)
    return root


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """Folder with the real archives: MITOBENCH_SHARED_DATA, else shared/data beside the repository."""
    folder = Path(os.environ.get("MITOBENCH_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not list(folder.glob("*.zip")):
        pytest.skip(f"no real archives in {folder}; set MITOBENCH_SHARED_DATA to a folder that has them")
    return folder


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds the synthetic dataset, grown once for the whole session."""
    from mitobench.datasets import fetch

    root = tmp_path_factory.mktemp("synthetic")
    fetch("synthetic", root=root)
    return root


@pytest.fixture(scope="session")
def cluster_address() -> Iterator[str]:
    """Address of a Dask scheduler with two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="needs mitobench[cluster]")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="session", params=["threads", "one", "processes", "cluster"])
def crew(request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Workers of every kind, one after the other."""
    if request.param == "cluster":
        opened = open_workers(scheduler=request.getfixturevalue("cluster_address"))
    else:
        opened = open_workers({"threads": 0, "one": 1, "processes": 2}[request.param])
    with opened as workers:
        yield workers
