"""Several processes that train together: the curve of one process, refused where it cannot be."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mitobench.baselines import train_baseline
from mitobench.baselines.runtime import torch_threads
from mitobench.baselines.team import Team, own_device
from mitobench.baselines.unet import build_unet
from mitobench.errors import BadInputError
from tests.baseline_toys import TOY, discs

SETTINGS: dict[str, object] = {**TOY, "batch": 4, "val_every": 1}


def _train(out: Path) -> Path:
    volume = discs()
    return train_baseline("sam-vit-tiny", train=[volume], val=[volume], out=out, settings=SETTINGS, seed=2)


def _process(rank: int, folder: Path) -> int:
    """One of two processes, as torchrun would start it, but meeting in a file instead of at a port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads; the child uses none
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        torch.set_num_threads(1)
        store = torch.distributed.FileStore(str(folder / "meeting"), 2)
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
        _train(folder / "two")
        status = 0
    finally:
        os._exit(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process")
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
def test_two_processes_train_like_one(tmp_path: Path) -> None:
    """Same global batch, same curve, same scores, same weights, up to rounding; one process writes."""
    with torch_threads(1):
        one = _train(tmp_path / "one")
    children = [_process(rank, tmp_path) for rank in range(2)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    curves = [json.loads((folder / "curve.json").read_text()) for folder in (one, tmp_path / "two")]
    assert len(curves[0]["train_loss"]) == 4
    for name in ("train_loss", "val_iou"):
        assert np.allclose(curves[0][name], curves[1][name], rtol=1e-4, atol=1e-5), name
    weights = [load_file(folder / "weights.safetensors") for folder in (one, tmp_path / "two")]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], atol=2e-4), name


def test_shares_of_a_batch_cover_it() -> None:
    """Every crop has one owner; a batch that cannot be shared evenly is refused with both numbers."""
    shares = [list(range(6))[Team(rank=rank, size=3).share(6)] for rank in range(3)]
    assert sorted(crop for share in shares for crop in share) == list(range(6))
    with pytest.raises(BadInputError, match="batch is 8; expected a multiple of the 3"):
        Team(rank=0, size=3).share(8)


def test_batch_norm_is_not_trained_by_several_processors() -> None:
    """Its statistics would be those of a share of the batch; the message says what to do."""
    with pytest.raises(BadInputError, match="Train it in one process"):
        Team(rank=0, size=2).wrap(build_unet(channels=2, seed=0), device="cpu")


def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under torchrun "cuda" is the GPU of that process; a device by number is taken as it is."""
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(name) for name in ("cuda", "cuda:1", "cpu")] == ["cuda:3", "cuda:1", "cpu"]
