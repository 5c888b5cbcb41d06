"""What users call from Python: a model of one's own is run, scored, entered, and asked why."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mitobench as mb
from mitobench import entries
from mitobench.errors import BadInputError, RecordError, UnknownNameError
from mitobench.segmenter import BaselineCard, Progress, no_progress

CARD = BaselineCard(
    key="dark-half",
    title="Dark half",
    summary="Everything darker than a value.",
    trainable=False,
    runs_untrained=True,
)
MODEL = """
key = "dark-half"
title = "Dark half"
kind = "submission"
authors = ["A Test"]
licence = "MIT"
initialisation = "none"
training_data = []
commands = ["python dark_half.py"]
"""


class DarkHalf:
    """A segmenter that inherits nothing."""

    card = CARD

    def segment(
        self,
        image: NDArray[np.uint8],
        *,
        voxel_size_nm: tuple[float, float, float],
        progress: Progress = no_progress,
    ) -> mb.Segmentation:
        probability = 255 - image
        return mb.Segmentation(labels=(image < 70).astype(np.uint8), kind="semantic", probability=probability)


@pytest.fixture(autouse=True)
def data_home(synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here finds the synthetic data."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))


def test_a_model_of_ones_own_is_a_segmenter() -> None:
    """Having a card and a segment method is enough."""
    assert isinstance(DarkHalf(), mb.Segmenter)


def test_evaluate_runs_and_scores() -> None:
    """The record counts the same voxels as NumPy does."""
    record = mb.evaluate(DarkHalf(), dataset="synthetic", track="auto")
    volume = mb.load_split("synthetic", "test")[0]
    assert volume.mask is not None
    found = np.asarray(volume.image) < 70
    assert record.scores["iou"] == (found & volume.mask).sum() / (found | volume.mask).sum()
    assert record.model == "dark-half"


def test_predict_keeps_what_is_there(tmp_path: Path) -> None:
    """A second run of a finished prediction segments nothing again."""

    class Once(DarkHalf):
        calls = 0

        def segment(self, image: NDArray[np.uint8], **options: Any) -> mb.Segmentation:
            Once.calls += 1
            return super().segment(image, **options)

    for _ in range(2):
        mb.predict(Once(), dataset="synthetic", out=tmp_path / "prediction")
    assert Once.calls == 1


def test_predict_refuses_prompted_tracks(tmp_path: Path) -> None:
    """A segmenter sees the image alone, so its prediction cannot enter a prompted track."""
    with pytest.raises(BadInputError, match="takes no prompts"):
        mb.predict(DarkHalf(), dataset="synthetic", out=tmp_path, track="box")


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A leaderboard with one submitted entry."""
    folder = tmp_path / "leaderboard"
    folder.mkdir()
    prediction = mb.predict(DarkHalf(), dataset="synthetic", out=tmp_path / "prediction", probabilities=True)
    (tmp_path / "model.toml").write_text(MODEL)
    entries.submit(prediction, model_toml=tmp_path / "model.toml", dataset="synthetic", folder=folder)
    return folder


def test_submit_writes_a_whole_entry(board: Path) -> None:
    """Card, record, table and gallery are there, and the record follows from its table."""
    from mitobench.benchmark import leaderboard

    entry = mb.load_entry("dark-half", folder=board)
    assert [record.name.stem for record in entry.records] == ["synthetic@1.auto.0"]
    assert len(list((board / "dark-half" / "gallery" / "synthetic@1.auto.0").glob("*.probability.png"))) == 2
    leaderboard.build(board)
    assert leaderboard.check(board) == []


def test_an_edited_number_is_found(board: Path) -> None:
    """Changing one digit of a score makes the check name file and field."""
    from mitobench.benchmark import leaderboard

    leaderboard.build(board)
    record = board / "dark-half" / "synthetic@1.auto.0.json"
    iou = mb.load_entry("dark-half", folder=board).records[0].scores["iou"]
    record.write_text(record.read_text().replace(f'"iou": {iou!r}', '"iou": 0.99'))
    problems = leaderboard.check(board)
    assert any("synthetic@1.auto.0.json" in one.file and "iou" in one.field for one in problems)


def test_submit_refuses_a_card_with_unknown_keys(board: Path, tmp_path: Path) -> None:
    """A misspelt key in model.toml is named before anything is written."""
    (tmp_path / "bad.toml").write_text(MODEL + 'licens = "MIT"\n')
    with pytest.raises(RecordError, match="licens"):
        entries.submit(
            tmp_path / "prediction", model_toml=tmp_path / "bad.toml", dataset="synthetic", folder=board
        )


def test_why_lists_partners_of_an_object(board: Path) -> None:
    """The shared voxels of all partners add up to the object."""
    volume = mb.load_split("synthetic", "test")[0]
    assert volume.labels is not None
    object_id = int(np.unique(volume.labels)[1])
    rows = entries.why("dark-half", object_id, folder=board)
    assert sum(row[3] for row in rows) == np.count_nonzero(np.asarray(volume.labels) == object_id)
    assert all(0.0 <= row[4] <= 1.0 for row in rows)


def test_why_says_what_is_unknown(board: Path) -> None:
    """An object or record that is not there is named."""
    with pytest.raises(BadInputError, match="999999"):
        entries.why("dark-half", 999_999, folder=board)
    with pytest.raises(UnknownNameError, match=r"vnc@1\.auto\.0"):
        entries.why("dark-half", 1, record="vnc@1.auto.0", folder=board)


def test_there_has_to_be_a_leaderboard(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(BadInputError, match="nowhere"):
        entries.leaderboard_folder(tmp_path / "nowhere")
