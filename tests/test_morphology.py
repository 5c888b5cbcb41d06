"""Measurements of drawn shapes whose sizes are known, and the command around them."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mitobench.cli import app
from mitobench.errors import BadInputError, DtypeError, MissingExtraError, ShapeError
from mitobench.morphology import COLUMNS, measure_labels
from mitobench.morphology.plot import draw_rows

EVEN, THICK = (10.0, 10.0, 10.0), (40.0, 8.0, 8.0)


def tube(steps, start, stop, radius, extent=(800, 800, 800)):
    """Voxels within a radius of the way between two places, nm."""
    shape = [math.ceil(size / step) for size, step in zip(extent, steps, strict=True)]
    at = np.stack(np.indices(shape), -1) * np.asarray(steps)
    start, way = np.asarray(start, float), np.subtract(stop, start).astype(float)
    along = np.clip((at - start) @ way / max(way @ way, 1e-9), 0, 1)
    return np.linalg.norm(at - (start + along[..., None] * way), axis=-1) <= radius


def one(labels, steps, **options):
    (row,) = measure_labels(labels, voxel_size_nm=steps, workers=1, **options)
    return row


@pytest.mark.parametrize(("steps", "off"), [(EVEN, 0.03), (THICK, 0.08)])
@pytest.mark.parametrize("stop", [(400, 400, 400), (400, 400, 650), (600, 600, 600), (150, 400, 400)])
def test_balls_and_tubes_have_their_sizes(steps, off, stop):
    """A capsule: volume and surface are known, the length is that of its axis and both caps."""
    radius, middle = 100, (400, 400, 400)
    way = math.dist(middle, stop)
    row = one(tube(steps, middle, stop, radius), steps)
    volume = math.pi * radius**2 * way + 4 / 3 * math.pi * radius**3
    surface = 2 * math.pi * radius * way + 4 * math.pi * radius**2
    assert row["volume_nm3"] == pytest.approx(volume, rel=0.03)
    assert row["surface_nm2"] == pytest.approx(surface, rel=off)
    assert 0.95 <= row["length_nm"] / (way + 2 * radius) <= 1.07
    assert row["sphericity"] == pytest.approx(
        math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / surface, rel=off + 0.02
    )
    assert row["diameter_nm"] == pytest.approx(2 * radius, rel=0.2)
    assert (row["branches"], row["branch_points"], row["pieces"], row["cut"]) == (1, 0, 1, False)


@pytest.mark.parametrize("steps", [EVEN, THICK])
def test_branches_are_counted(steps):
    """A Y has three branches, a cross four, an H five; a bump is none."""
    bar = tube(steps, (400, 100, 400), (400, 700, 400), 60)
    arm = tube(steps, (400, 400, 400), (400, 400, 700), 50)
    cross = tube(steps, (400, 400, 100), (400, 400, 700), 50)
    h = tube(steps, (400, 100, 650), (400, 700, 650), 60)
    bump = tube(steps, (400, 400, 430), (400, 400, 480), 40)
    found = [one(shape, steps) for shape in (bar | arm, bar | cross, bar | arm | h, bar | bump)]
    assert [(row["branches"], row["branch_points"]) for row in found] == [(3, 1), (4, 1), (5, 2), (1, 0)]
    assert found[0]["length_nm"] == pytest.approx(720, rel=0.05)
    assert found[0]["centreline_nm"] == pytest.approx(540 + 290, rel=0.15)


def test_a_ring_is_opened():
    """Its centreline is as long as the ring, less the step at which it was opened."""
    at = np.indices((16, 64, 64)) * 10.0 - np.array([80, 320, 320])[:, None, None, None]
    ring = (np.hypot(at[1], at[2]) - 200) ** 2 + at[0] ** 2 <= 48**2
    row = one(ring, EVEN)
    assert row["branches"] == 1
    assert row["centreline_nm"] == pytest.approx(2 * math.pi * 200, rel=0.1)


def test_sections_are_measured_too():
    """A disc of 320 nm, and a bar that leaves the image."""
    y, x = np.indices((60, 60))
    labels = np.where((y - 30) ** 2 + (x - 30) ** 2 <= 400, 7, 0)
    labels[0:3, 5:40] = 2
    bar, disc = measure_labels(labels, voxel_size_nm=(8, 8))
    assert [column.key for column in COLUMNS[2]] == list(disc)
    assert (bar["id"], disc["id"], bar["cut"], disc["cut"]) == (2, 7, True, False)
    assert disc["area_nm2"] == pytest.approx(math.pi * 160**2, rel=0.01)
    assert disc["perimeter_nm"] == pytest.approx(2 * math.pi * 160, rel=0.03)
    assert disc["circularity"] == pytest.approx(1, abs=0.05)
    assert disc["length_nm"] == pytest.approx(320, rel=0.02)
    assert bar["length_nm"] == pytest.approx(35 * 8, rel=0.05)


def test_ids_masks_pieces_and_specks():
    """Ids may be huge and far apart; a mask is numbered; an id in two parts says so; specks can be left out."""
    labels = np.zeros((40, 20, 20), np.uint64)
    huge = 2**63 + 1
    labels[2:8, 2:8, 2:8] = huge
    labels[30:36, 4:8, 4:8] = huge  # another slab
    labels[12:14, 4:6, 4:6] = 3  # in the box of the other
    rows = measure_labels(labels, voxel_size_nm=EVEN)
    assert [(row["id"], row["voxels"], row["pieces"]) for row in rows] == [(3, 8, 1), (huge, 216 + 96, 2)]
    assert [row["voxels"] for row in measure_labels(labels > 0, voxel_size_nm=EVEN)] == [216, 8, 96]
    assert [row["id"] for row in measure_labels(labels, voxel_size_nm=EVEN, min_voxels=300)] == [huge]
    assert measure_labels(np.zeros((3, 4, 5), np.uint8), voxel_size_nm=EVEN) == []
    speck = one(np.ones((1, 1, 1), bool), THICK)
    assert (speck["voxels"], speck["branches"], speck["cut"]) == (1, 1, True)
    assert all(math.isfinite(value) for value in speck.values())


@pytest.mark.parametrize(
    ("labels", "steps", "error", "words"),
    [
        (np.ones((2, 2, 2, 2), int), EVEN, ShapeError, r"\(2, 2, 2, 2\)"),
        (np.ones((2, 2, 2)), EVEN, DtypeError, "float64"),
        (np.ones((2, 2, 2), int), (8, 8), BadInputError, "3 axes"),
        (np.ones((2, 2, 2), int), (8, 8, -1), BadInputError, "positive"),
        (-np.ones((2, 2, 2), int), EVEN, BadInputError, "negative id -1"),
    ],
)
def test_bad_input_is_one_sentence(labels, steps, error, words):
    """What is wrong with its value."""
    with pytest.raises(error, match=words):
        measure_labels(labels, voxel_size_nm=steps)


def test_the_command_writes_table_and_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV with the columns of the cards, a picture, JSON; and one sentence where the voxel size is missing."""
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[4:16, 4:16, 4:36], labels[4:16, 24:36, 4:16] = 1, 2
    np.save(tmp_path / "labels.npy", labels)
    command = ["measure", str(tmp_path / "labels.npy"), "--voxel-size", "40,8,8"]
    out, plot = tmp_path / "table.csv", tmp_path / "plot.svg"
    done = CliRunner().invoke(
        app, [*command, "--out", str(out), "--plot", str(plot), "--json"], catch_exceptions=False
    )
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == [column.key for column in COLUMNS[3]]
    assert [row["id"] for row in rows] == ["1", "2"]
    assert [row["voxels"] for row in json.loads(done.stdout)] == [12 * 12 * 32, 12**3]
    assert "2 mitochondria" in plot.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.npy", "plot.svg", "table.csv"]
    again = tmp_path / "again.svg"
    draw_rows(measure_labels(labels, voxel_size_nm=(40.0, 8.0, 8.0)), again)
    assert again.read_bytes() == plot.read_bytes(), "neither the day nor random names are drawn"
    shown = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert "volume" in shown
    assert "sphericity" in shown
    with pytest.raises(BadInputError, match="--voxel-size 30,8,8"):
        CliRunner().invoke(app, command[:2], catch_exceptions=False)
    with pytest.raises(BadInputError, match="expected positive numbers of nanometres"):
        CliRunner().invoke(app, [*command[:3], "a,b"], catch_exceptions=False)
    with pytest.raises(BadInputError, match="background only"):
        draw_rows([], plot)
    with pytest.raises(BadInputError, match="no picture"):
        draw_rows([{"volume_nm3": 1.0}], tmp_path / "plot.txt")
    monkeypatch.setitem(__import__("sys").modules, "skimage.morphology", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[measure\]"):
        CliRunner().invoke(app, command, catch_exceptions=False)
