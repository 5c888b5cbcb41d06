"""What only a GPU can show; run with -m gpu on a machine that has one."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mitobench.baselines import load_checkpoint, train_baseline
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.prompts import box_prompts
from tests.baseline_toys import TOY, discs, iou
from tests.test_sam_attention import _pair
from tests.test_sam_model import TOY_SHAPE

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
SHORT: dict[str, object] = {**TOY, "steps": 4, "val_every": 2, "save_every": 2}


def test_folded_attention_equals_the_package_on_a_gpu() -> None:
    """Answers and gradients at the widths of ViT-B: equal in float32; in bfloat16 as good as the package's."""
    original, folded = (module.to("cuda") for module in _pair(32, heads=4, width=64))
    tokens = torch.randn(2, 32, 32, 256, device="cuda")

    def ask(module: torch.nn.Module, *, bf16: bool) -> tuple[torch.Tensor, torch.Tensor]:
        given = tokens.clone().requires_grad_()
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=bf16):
            answer = module(given).float()
        torch.autograd.backward(answer.square().mean())
        assert given.grad is not None
        return answer.detach(), given.grad

    exact = ask(original, bf16=False)
    for module, bf16, allowed in ((folded, False, 1e-3), (original, True, None), (folded, True, None)):
        off = [
            float((found - wanted).abs().max() / wanted.abs().max())
            for found, wanted in zip(ask(module, bf16=bf16), exact, strict=True)
        ]
        if allowed is None and module is original:
            package = off
            continue
        limits = [allowed] * 2 if allowed is not None else [3 * one for one in package]
        assert all(one < limit for one, limit in zip(off, limits, strict=True)), (off, limits)


def test_sam_answers_on_a_gpu_as_on_the_processor() -> None:
    """Embedding, masks without prompts and with a box, in float32."""
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    answers = []
    for device in ("cpu", "cuda"):
        sam = build_sam(TOY_SHAPE, seed=0).to(device)
        embedding = sam.encode(image[:1].to(device))
        prompts = box_prompts(np.array([[8.0, 8.0, 40.0, 40.0]], np.float32), scale=1.0).to(device)
        with torch.inference_mode():
            answers.append([sam.decode(embedding, asked).logits.cpu() for asked in (None, prompts)])
    for one, other in zip(*answers, strict=True):
        assert torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("baseline", ["unet", "unet-3d", "sam-vit-tiny"])
def test_networks_train_and_predict_on_a_gpu(baseline: str, tmp_path: Path) -> None:
    """Trained there; the same checkpoint says the same there and on the processor."""
    volume = discs()
    settings = {**SHORT, "precision": "fp32", **({"depth": 4} if baseline == "unet-3d" else {})}
    folder = train_baseline(
        baseline, train=[volume], val=[volume], out=tmp_path / "out", settings=settings, device="cuda"
    )
    probabilities = [
        load_checkpoint(folder, device=device)
        .segment(volume.image, voxel_size_nm=volume.voxel_size_nm)
        .probability
        for device in ("cuda", "cpu")
    ]
    assert all(one is not None for one in probabilities)
    gap = np.abs(np.subtract(*probabilities, dtype=np.int16))  # type: ignore[arg-type]
    assert gap.max() <= 3


@pytest.mark.parametrize("train", ["lora", "decoder", "masked"])
def test_every_way_to_train_runs_on_a_gpu(train: str, tmp_path: Path) -> None:
    """The recipes besides the plain one, prompts included, finish with numbers."""
    volume = discs()
    settings = {**SHORT, "train": train, "variants": 1}
    folder = train_baseline(
        "sam-vit-tiny", train=[volume], val=[volume], out=tmp_path / "out", settings=settings, device="cuda"
    )
    weights = load_file(folder / "weights.safetensors")
    assert weights
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())


def test_prompted_training_runs_on_a_gpu(tmp_path: Path) -> None:
    """Boxes, points and rounds of correction."""
    settings = {**SHORT, "prompts": "mixed"}
    folder = train_baseline(
        "sam-vit-tiny", train=[discs()], val=[], out=tmp_path / "out", settings=settings, device="cuda"
    )
    assert (folder / "checkpoint.json").is_file()


def test_compiled_training_learns(tmp_path: Path) -> None:
    """torch.compile on the device gives a network that segments discs as the plain one does."""
    volume = discs()
    scores = []
    for how in ("off", "on"):
        folder = train_baseline(
            "sam-vit-tiny",
            train=[volume],
            val=[volume],
            out=tmp_path / how,
            settings={**TOY, "steps": 60, "compile": how, "save_every": 1000},
            device="cuda",
        )
        found = load_checkpoint(folder, device="cuda").segment(
            volume.image, voxel_size_nm=volume.voxel_size_nm
        )
        scores.append(iou(found.labels, np.asarray(volume.labels)))
    assert abs(scores[0] - scores[1]) < 0.1
    assert min(scores) > 0.5


def test_torchrun_trains_on_a_gpu(tmp_path: Path) -> None:
    """One process started by torchrun, talking through NCCL, writes the checkpoint."""
    script = tmp_path / "train.py"
    script.write_text(
        "from mitobench.baselines import train_baseline\n"
        "from tests.baseline_toys import TOY, discs\n"
        f"train_baseline('sam-vit-tiny', train=[discs()], val=[], out={str(tmp_path / 'out')!r}, "
        "settings={**TOY, 'steps': 3}, device='cuda')\n"
    )
    root = Path(__file__).resolve().parent.parent
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1", str(script)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "checkpoint.json").is_file()


def test_a_stopped_training_goes_on_on_a_gpu(tmp_path: Path) -> None:
    """State saved on the device is loaded onto it again, optimizer and average included."""
    volume = discs()

    def train(progress: object) -> Path:
        return train_baseline(
            "sam-vit-tiny",
            train=[volume],
            val=[volume],
            out=tmp_path / "out",
            settings=SHORT,
            device="cuda",
            resume=True,
            progress=progress,  # type: ignore[arg-type]
        )

    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stop)
    assert (tmp_path / "out" / "state.safetensors").is_file()
    folder = train(lambda done, total, what: None)
    assert (folder / "checkpoint.json").is_file()


def test_ignored_pixels_stay_ignored_on_a_gpu(tmp_path: Path) -> None:
    """A volume with an ignore mask trains there too."""
    volume = discs()
    ignore = np.zeros(volume.shape, bool)
    ignore[:, :8] = True
    folder = train_baseline(
        "unet",
        train=[replace(volume, ignore=ignore)],
        val=[],
        out=tmp_path / "out",
        settings=SHORT,
        device="cuda",
    )
    assert (folder / "checkpoint.json").is_file()
