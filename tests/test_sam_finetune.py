"""Fine-tuning SAM: what is trained, what is not, what comes out."""

import json
from pathlib import Path

import pytest
import torch

from mitobench.baselines import load_checkpoint, train_baseline
from mitobench.baselines.loss import dice_ce
from mitobench.baselines.runtime import torch_threads
from mitobench.baselines.sam.finetune import NEVER_TRAINED, PromptFree, encoder_rates, prepare
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.recipes import SamSettings, TinySettings, read_settings
from mitobench.baselines.sam.shapes import SHAPES
from mitobench.errors import BadInputError
from tests.baseline_toys import TOY, discs, iou
from tests.test_sam_model import TOY_SHAPE
from tests.test_sam_weights import _describe


def _gradients(train: str) -> dict[str, torch.Tensor | None]:
    sam = build_sam(TOY_SHAPE, seed=0)
    prepare(sam, read_settings("sam-vit-tiny", {"train": train}), seed=0)
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    mask = (image > 128).float()
    logits = PromptFree(sam, encoder_learns=train != "decoder")(image)
    assert logits.shape == image.shape
    torch.autograd.backward(dice_ce()(logits, mask, torch.zeros_like(mask)))
    return {name: parameter.grad for name, parameter in sam.named_parameters()}


def _learns(name: str, train: str) -> bool:
    """What each recipe trains, said once more in other words."""
    if not name.startswith("image_encoder."):
        return not name.startswith(NEVER_TRAINED)
    return {"all": True, "lora": "neck." in name or name.endswith((".up", ".down")), "decoder": False}[train]


@pytest.mark.parametrize("train", ["all", "lora", "decoder"])
def test_what_is_trained_has_gradients_and_nothing_else(train: str) -> None:
    """Trap: heads that a prompt-free loss cannot reach would still decay. They are frozen by name, all of them."""
    for name, gradient in _gradients(train).items():
        if not _learns(name, train):
            assert gradient is None, name
            continue
        assert gradient is not None, name
        starts_at_zero = "k_proj.bias" in name or "qkv.bias" in name or name.endswith(".down")
        assert gradient.abs().sum() > 0 or starts_at_zero, name


def test_names_never_trained_exist() -> None:
    """Each frozen prefix names weights of the package; a renamed part would otherwise be trained silently."""
    names = build_sam(TOY_SHAPE, seed=0).state_dict().keys()
    for prefix in NEVER_TRAINED:
        assert any(name.startswith(prefix) for name in names), prefix


@pytest.mark.parametrize(("train", "changes"), [("all", True), ("lora", True), ("decoder", False)])
def test_frozen_weights_do_not_move(train: str, changes: bool, tmp_path: Path) -> None:
    """After training, heads that never learn are bit for bit as they began; so is the encoder when asked."""
    settings = {**TOY, "train": train, "average": 0.0}
    out = train_baseline("sam-vit-tiny", train=[discs()], val=[], out=tmp_path, settings=settings, seed=3)
    segmenter = load_checkpoint(out)
    trained = segmenter.net.sam.state_dict()  # type: ignore[attr-defined]
    tiny = build_sam(
        SHAPES["sam-vit-tiny"].__class__(**{**vars(SHAPES["sam-vit-tiny"]), "image_size": 64}), seed=3
    ).state_dict()
    moved = {name for name in tiny if not torch.equal(tiny[name], trained[name])}
    assert not [name for name in moved if name.startswith(NEVER_TRAINED)]
    assert any(name.startswith("mask_decoder.") for name in moved)
    assert "prompt_encoder.no_mask_embed.weight" in moved
    assert any(name.startswith("image_encoder.") for name in moved) is changes


def test_it_overfits_one_patch(tmp_path: Path) -> None:
    """Sixty steps on one slice find its discs again."""
    volume = discs(slices=1)
    settings = {**TOY, "steps": 60, "learning_rate": 4e-3, "warmup": 5, "val_every": 30, "zoom": 1.0}
    with torch_threads(1):
        out = train_baseline("sam-vit-tiny", train=[volume], val=[volume], out=tmp_path, settings=settings)
        found = load_checkpoint(out).segment(volume.image, voxel_size_nm=volume.voxel_size_nm)
    assert volume.labels is not None
    assert iou(volume.labels, found.labels) > 0.7
    curve = json.loads((out / "curve.json").read_text())
    assert curve["train_loss"][-1] < 0.6 * curve["train_loss"][0]


def test_training_starts_from_the_official_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of the file are the starting point, and the card of the checkpoint names it by hash."""
    path = tmp_path / "sam_toy.pth"
    start = build_sam(TOY_SHAPE, seed=9).state_dict()
    torch.save(start, path)
    shape = TOY_SHAPE.__class__(**{**vars(TOY_SHAPE), "official": _describe(path)})
    monkeypatch.setitem(SHAPES, "sam-vit-b", shape)
    settings = {**TOY, "steps": 1, "weights": str(path), "learning_rate": 0.0, "average": 0.0}
    out = train_baseline(
        "sam-vit-b", train=[discs()], val=[], out=tmp_path / "out", settings=settings, seed=1
    )
    trained = load_checkpoint(out).net.sam.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(trained[name], start[name]) for name in start)
    base = json.loads((out / "checkpoint.json").read_text())["base"]
    assert base == {
        "file": "sam_toy.pth",
        "sha256": _describe(path).sha256,
        "n_bytes": path.stat().st_size,
    }


def test_an_official_size_may_start_at_random_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """weights=random is explicit, and then no base is claimed."""
    shape = TOY_SHAPE.__class__(**{**vars(TOY_SHAPE), "official": SHAPES["sam-vit-b"].official})
    monkeypatch.setitem(SHAPES, "sam-vit-b", shape)
    settings = {**TOY, "steps": 1}
    with pytest.raises(BadInputError, match="weights=random"):
        train_baseline("sam-vit-b", train=[discs()], val=[], out=tmp_path / "a", settings=settings)
    out = train_baseline(
        "sam-vit-b", train=[discs()], val=[], out=tmp_path / "b", settings={**settings, "weights": "random"}
    )
    assert json.loads((out / "checkpoint.json").read_text())["base"] is None


def test_rates_fall_towards_the_input() -> None:
    """ViT-B: decoder 1, neck and last block 0.1, first block 0.1 x 0.8^11, positions 0.1 x 0.8^12."""
    rate = encoder_rates("sam-vit-b", SamSettings())
    assert rate("sam.mask_decoder.iou_token.weight") == 1
    assert rate("sam.image_encoder.neck.0.weight") == pytest.approx(0.1)
    assert rate("sam.image_encoder.blocks.11.attn.qkv.weight") == pytest.approx(0.1)
    assert rate("sam.image_encoder.blocks.0.attn.qkv.weight") == pytest.approx(0.1 * 0.8**11)
    assert rate("sam.image_encoder.pos_embed") == pytest.approx(0.1 * 0.8**12)
    assert rate("sam.image_encoder.patch_embed.proj.weight") == pytest.approx(0.1 * 0.8**12)
    assert encoder_rates("sam-vit-tiny", TinySettings())("sam.image_encoder.pos_embed") == 1


def test_an_input_that_is_no_multiple_of_a_patch_is_refused(tmp_path: Path) -> None:
    """SAM's patches are 16 pixels wide."""
    with pytest.raises(BadInputError, match="multiple of 16"):
        train_baseline("sam-vit-tiny", train=[discs()], val=[], out=tmp_path, settings={**TOY, "input": 60})


@pytest.mark.slow
def test_smoke_on_real_vnc(
    real_data_root: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four hundred steps of the tiny SAM stand above 0.40 IoU on the test slices of vnc: 6.8 times the foreground."""
    from mitobench.datasets import load_split

    monkeypatch.setenv("MITOBENCH_SOURCES", str(real_data_root))
    train, val, test = (load_split("vnc", part) for part in ("train", "val", "test"))
    out = train_baseline("sam-vit-tiny", train=train, val=val, out=tmp_path, settings={"steps": 400})
    found = load_checkpoint(out).segment(test[0].image, voxel_size_nm=test[0].voxel_size_nm)
    assert test[0].labels is not None
    assert iou(test[0].labels[:], found.labels) > 0.40
