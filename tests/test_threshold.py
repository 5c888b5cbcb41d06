"""The fitted threshold: recovers a known rule, sees train only, is readable JSON."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mitobench.baselines import BASELINES, load_checkpoint, train_baseline
from mitobench.baselines.threshold import Rule, ThresholdSegmenter, fit_rule
from mitobench.errors import FormatError
from tests.baseline_toys import discs, iou


def test_dark_discs_are_found() -> None:
    """On dark discs the rule is nearly perfect, and its IoU is the IoU of what it predicts."""
    volume = discs()
    rule, train_iou = fit_rule([volume])
    segmenter = ThresholdSegmenter(card=BASELINES["threshold"], rule=rule)
    found = segmenter.segment(volume.image, voxel_size_nm=volume.voxel_size_nm)
    assert volume.labels is not None
    assert iou(volume.labels, found.labels) == pytest.approx(train_iou)
    assert train_iou > 0.95


def test_a_band_finds_what_is_neither_darkest_nor_brightest() -> None:
    """Grey objects between black membranes and a bright ground need a band; dark_only cannot find them."""
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[0, 10:40, 10:40] = 1
    image = np.full_like(labels, 200)
    image[labels > 0] = 100
    image[0, 44:, :] = 0
    volume = replace(discs(), image=image, labels=labels)
    assert fit_rule([volume])[1] > 0.8
    assert fit_rule([volume], dark_only=True)[1] < 0.65


def test_small_pieces_are_dropped_by_area_in_nanometres() -> None:
    """A 2 x 2 speck and a 10 x 10 square: only the square is larger than 1,000 nm2 at 5 nm."""
    image = np.full((1, 40, 40), 200, np.uint8)
    image[0, 5:7, 5:7] = 0
    image[0, 20:30, 20:30] = 0
    rule = Rule(sigma_nm=0.01, low=0, high=100, min_area_nm2=1000)
    segmenter = ThresholdSegmenter(card=BASELINES["threshold"], rule=rule)
    found = segmenter.segment(image, voxel_size_nm=(40.0, 5.0, 5.0))
    assert found.labels.sum() == 100
    assert segmenter.segment(image, voxel_size_nm=(40.0, 50.0, 50.0)).labels.sum() == 104


def test_ignored_voxels_do_not_count() -> None:
    """A bright mistake in the truth that is marked as ignored changes nothing."""
    volume = discs()
    assert volume.labels is not None
    spoilt, ignore = volume.labels.copy(), np.zeros(volume.shape, bool)
    spoilt[:, 65:, :], ignore[:, 65:, :] = 1, True
    rule, _ = fit_rule([volume])
    kept, good = fit_rule([replace(volume, labels=spoilt, ignore=ignore)])
    _, bad = fit_rule([replace(volume, labels=spoilt)])
    assert (kept.low, kept.sigma_nm) == (rule.low, rule.sigma_nm)
    assert good > 0.95 > bad


def test_the_checkpoint_is_the_rule_in_readable_json(tmp_path: Path) -> None:
    """The rule written is the rule loaded; what a person writes into the file holds as well."""
    volume = discs()
    out = train_baseline("threshold", train=[volume], val=[], out=tmp_path)
    content = json.loads((out / "checkpoint.json").read_text())
    loaded = load_checkpoint(out)
    assert isinstance(loaded, ThresholdSegmenter)
    assert loaded.rule == Rule(**content["found"]["rule"])
    assert [path.name for path in out.iterdir()] == ["checkpoint.json"]
    del content["found"]["rule"]["high"]
    (out / "checkpoint.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match="four numbers"):
        load_checkpoint(out)


def test_validation_is_never_opened(tmp_path: Path) -> None:
    """A validation volume that cannot be read does not matter, because nothing is read from it."""
    volume = discs()

    class Forbidden(np.ndarray):
        def __getitem__(self, key: object) -> object:
            raise AssertionError("validation was opened")

    shut = replace(discs(name="shut"), labels=discs().labels.view(Forbidden))  # type: ignore[union-attr]
    train_baseline("threshold", train=[volume], val=[shut], out=tmp_path)
