"""The ways to fine-tune SAM besides the whole of it: low-rank changes, cached embeddings, prompts, the historic one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mitobench.baselines import load_checkpoint, settings_fields, train_baseline
from mitobench.baselines.checkpoint import describe_file
from mitobench.baselines.patch_boxes import patch_boxes
from mitobench.baselines.sam.embedded import historic_tiles, overlapping_tiles, steps_in_epoch
from mitobench.baselines.sam.lora import add_low_rank, merge_low_rank
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.prompted import choose_object, corrected, inner_point, noisy_box
from mitobench.baselines.sam.prompts import BACKGROUND, FOREGROUND, NO_POINT, Prompts
from mitobench.baselines.sam.recipes import RECIPES, read_settings
from mitobench.baselines.sam.shapes import SHAPES
from mitobench.errors import BadInputError, FormatError, IntegrityError
from tests.baseline_toys import TOY, discs
from tests.test_sam_model import TOY_SHAPE
from tests.test_sam_weights import _describe


def test_each_recipe_has_its_own_defaults() -> None:
    """Choosing how to train changes steps, batch and rates; what is given by hand wins; the list shows it."""
    assert read_settings("sam-vit-b", {}).batch == 16
    assert read_settings("sam-vit-b", {"train": "decoder"}).batch == 64
    assert read_settings("sam-vit-b", {"train": "decoder", "batch": 3}).batch == 3
    assert {key: read_settings("sam-vit-b", {"train": key}).train for key in RECIPES} == {
        key: key for key in RECIPES
    }
    shown = {field.name: field.default for field in settings_fields("sam-vit-b", {"train": "historic"})}
    assert (shown["learning_rate"], shown["batch"], shown["crop"]) == (1e-5, 2, 256)


def test_a_low_rank_change_starts_at_nothing_and_merges_exactly() -> None:
    """At first the encoder is the same; merged it answers bit for bit like unmerged, under the package's names."""
    sam, image = build_sam(TOY_SHAPE, seed=0), torch.rand(1, 1, 64, 64) * 255
    names, before = sam.state_dict().keys(), sam.encode(image).features
    add_low_rank(sam.image_encoder, rank=2)
    assert torch.equal(sam.encode(image).features, before)
    weight = sam.image_encoder.blocks[0].attn.qkv.weight
    for name, parameter in sam.named_parameters():
        if name.endswith(".up"):
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.inference_mode():
        changed = sam.encode(image).features
    moved = (sam.image_encoder.blocks[0].attn.qkv.weight - weight).abs().sum(dim=1) > 0
    assert moved.view(3, -1).all(dim=1).tolist() == [True, False, True]
    merge_low_rank(sam.image_encoder)
    assert sam.state_dict().keys() == names
    with torch.inference_mode():
        assert torch.equal(sam.encode(image).features, changed)
    assert not torch.equal(changed, before)


def _adapted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: str) -> tuple[Path, Path]:
    """A checkpoint trained from a file of weights, and that file."""
    official = tmp_path / "sam_toy.pth"
    torch.save(build_sam(TOY_SHAPE, seed=9).state_dict(), official)
    shape = TOY_SHAPE.__class__(**{**vars(TOY_SHAPE), "official": _describe(official)})
    monkeypatch.setitem(SHAPES, "sam-vit-b", shape)
    settings = {
        **TOY,
        "train": train,
        "weights": str(official),
        "rank": 2,
        "variants": 2,
        "learning_rate": 1e-2,
    }
    out = train_baseline("sam-vit-b", train=[discs()], val=[], out=tmp_path / "out", settings=settings)
    return out, official


@pytest.mark.parametrize("train", ["lora", "decoder"])
def test_only_changes_are_saved(train: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds what was trained; with the base beside it, or where it was, the same model comes back."""
    out, official = _adapted(tmp_path, monkeypatch, train)
    names = load_file(out / "weights.safetensors").keys()
    assert any(name.endswith(".up") for name in names) is (train == "lora")
    assert not [name for name in names if ".blocks." in name and not name.endswith((".up", ".down"))]
    assert json.loads((out / "checkpoint.json").read_text())["base"]["sha256"] == _describe(official).sha256
    image = torch.rand(1, 1, 64, 64) * 255
    first = load_checkpoint(out).net(image)  # type: ignore[attr-defined]
    assert not torch.equal(first, build_net(official, image))
    official.rename(out / official.name)
    assert torch.equal(load_checkpoint(out).net(image), first)  # type: ignore[attr-defined]
    (out / official.name).unlink()
    with pytest.raises(BadInputError, match="does not exist"):
        load_checkpoint(out)


def build_net(official: Path, image: torch.Tensor) -> torch.Tensor:
    """What the base answers without any training."""
    from mitobench.baselines.sam.finetune import PromptFree

    sam = build_sam(TOY_SHAPE, seed=0)
    sam.load_state_dict(torch.load(official, weights_only=True))
    return PromptFree(sam)(image)


@pytest.mark.parametrize("change", ["drop", "add"])
def test_changes_with_other_names_are_refused(change: str, tmp_path: Path) -> None:
    """A name too few or too many is listed, even where file and card agree."""
    settings = {**TOY, "steps": 1, "train": "lora", "rank": 2}
    out = train_baseline("sam-vit-tiny", train=[discs()], val=[], out=tmp_path, settings=settings)
    tensors = load_file(out / "weights.safetensors")
    if change == "drop":
        tensors.pop(next(name for name in tensors if name.endswith(".up")))
    else:
        tensors["sam.image_encoder.pos_embed"] = torch.zeros(1)
    save_file(tensors, out / "weights.safetensors")
    card = json.loads((out / "checkpoint.json").read_text())
    card["weights"] = describe_file(out / "weights.safetensors").model_dump()
    (out / "checkpoint.json").write_text(json.dumps(card))
    with pytest.raises(FormatError, match="missing sam" if change == "drop" else "unknown sam"):
        load_checkpoint(out)


def test_changes_of_other_weights_are_refused(tmp_path: Path) -> None:
    """Random weights that came out differently (another torch) are not the ones that the changes belong to."""
    settings = {**TOY, "steps": 1, "train": "lora", "rank": 2}
    out = train_baseline("sam-vit-tiny", train=[discs()], val=[], out=tmp_path, settings=settings)
    card = json.loads((out / "checkpoint.json").read_text())
    card["found"]["start_sha256"] = "0" * 64
    (out / "checkpoint.json").write_text(json.dumps(card))
    with pytest.raises(IntegrityError, match="holds changes of weights with sha256 000000000000"):
        load_checkpoint(out)


def test_tiles_cover_slices_and_historic_ones_drop_the_empty() -> None:
    """Half a side apart, empty ones included; or edge to edge, full ones only, with the boxes of the diagnostic."""
    volume = discs(side=128)
    tiles = overlapping_tiles([volume, volume], side=64)
    assert len(tiles.places) == 2 * 3 * 9
    assert 0 < len(tiles.foreground) < len(tiles.places)
    assert len(overlapping_tiles([volume], side=200).places) == 3
    historic = historic_tiles([volume], side=64, seed=4)
    assert volume.labels is not None
    wanted = patch_boxes(volume.labels, side=64, seed=4)
    assert [place[1:] for place in historic.places] == [one.origin for one in wanted]
    assert historic.boxes == [one.box_yx for one in wanted]
    assert steps_in_epoch(len(wanted), 2) == -(-len(wanted) // 2)


def test_the_historic_recipe_passes_over_every_patch(tmp_path: Path) -> None:
    """Two passes over the patches with mitochondria, the decoder alone, one box for each; nothing is validated."""
    settings = {
        "train": "historic",
        "epochs": 2,
        "crop": 64,
        "input": 64,
        "save_every": 100,
        "precision": "fp32",
    }
    volume, done = discs(), []
    out = train_baseline(
        "sam-vit-tiny",
        train=[volume],
        val=[volume],
        out=tmp_path,
        settings=settings,
        progress=lambda step, total, what: done.append((step, total, what)),
    )
    assert volume.labels is not None
    patches = len(patch_boxes(volume.labels, side=64))
    steps = 2 * steps_in_epoch(patches, 2)
    assert done[-1] == (steps, steps, "training steps")
    assert (patches, patches, "embeddings") in done
    card = json.loads((out / "checkpoint.json").read_text())
    assert (card["found"]["val_iou"], card["found"]["threshold"]) == (None, 0.5)
    assert not list(out.glob("*.npy"))


def test_prompts_of_an_object() -> None:
    """A box lies around its object, a point in it; an empty crop has neither and asks about its middle."""
    mask = np.zeros((40, 60), bool)
    mask[5:15, 30:50] = True
    mask[30:34, 2:6] = True
    first, second = choose_object(mask, 0.1), choose_object(mask, 0.9)
    assert (first.sum(), second.sum()) == (200, 16)
    assert not choose_object(np.zeros_like(mask), 0.5).any()
    still = np.full(5, 0.5)
    assert noisy_box(first, still).tolist() == [30, 5, 49, 14]
    assert noisy_box(first, np.ones(5)).tolist() == [31, 5.5, 50, 14.5]
    x, y = inner_point(second, still).tolist()
    assert second[int(y), int(x)]
    assert inner_point(np.zeros_like(mask), still).tolist() == [30, 20]


def test_a_correction_points_at_the_largest_error() -> None:
    """A missed part gets a point on it, an invented part one beside the object, a right answer none."""
    mask = torch.zeros(3, 1, 20, 20, dtype=torch.bool)
    mask[:, :, 2:9, 2:9] = True
    found = mask.clone()
    found[0] = False
    found[1, 0, 12:19, 12:19] = True
    found[1, 0, 0, 0] = True
    boxes = torch.tensor([[[2.0, 2.0, 8.0, 8.0]]] * 3)
    once = corrected(Prompts(boxes_xy=boxes), found, mask, torch.zeros_like(mask))
    assert once.boxes_xy is boxes
    assert once.point_labels is not None
    assert once.points_xy is not None
    assert once.point_labels[:, 0, 0].tolist() == [FOREGROUND, BACKGROUND, NO_POINT]
    assert once.points_xy[:2, 0, 0].tolist() == [[5, 5], [15, 15]]
    twice = corrected(once, found, mask, torch.ones_like(mask))
    assert twice.point_labels is not None
    assert twice.point_labels.shape == (3, 1, 2)
    assert twice.point_labels[:, 0, 1].tolist() == [NO_POINT] * 3


@pytest.mark.parametrize("prompts", ["box", "point"])
def test_training_with_prompts(prompts: str, tmp_path: Path) -> None:
    """Asked for objects and corrected twice, the loss falls; no prompt-free score is claimed."""
    settings = {
        **TOY,
        "prompts": prompts,
        "steps": 12,
        "batch": 4,
        "learning_rate": 4e-3,
        "val_every": 3,
        "foreground": 1.0,
    }
    volume = discs()
    out = train_baseline("sam-vit-tiny", train=[volume], val=[volume], out=tmp_path, settings=settings)
    curve = json.loads((out / "curve.json").read_text())
    assert curve["train_loss"][-1] < curve["train_loss"][0]
    assert curve["val_iou"] == []


def test_prompts_with_embeddings_are_refused(tmp_path: Path) -> None:
    """Objects are chosen anew in every step, embeddings only once."""
    with pytest.raises(BadInputError, match="expected train=all or train=lora"):
        train_baseline(
            "sam-vit-tiny",
            train=[discs()],
            val=[],
            out=tmp_path,
            settings={**TOY, "prompts": "box", "train": "decoder"},
        )
