"""Tiles, intervals, paired differences and tie groups: by hand, by identities, and by simulation."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
from benchmark_fakes import blobs, score, volume, write_prediction
from numpy.typing import NDArray
from scipy import stats

from mitobench.benchmark.intervals import (
    OBJECT_RATIOS,
    RATIOS,
    holm,
    intervals,
    paired_difference,
)
from mitobench.benchmark.record import Record
from mitobench.benchmark.schema import Region
from mitobench.benchmark.student import t_below, t_quantile
from mitobench.benchmark.tables import ObjectRow, read_false, read_objects, read_overlaps
from mitobench.benchmark.ties import versus_best
from mitobench.benchmark.tiles import COLUMNS, MAX_TILES, TileCounts, tile_counts, tile_grid
from mitobench.errors import BadInputError, RecordError
from mitobench.metrics import OverlapTable
from mitobench.volume import Volume

ALL = RATIOS | OBJECT_RATIOS


def _tiles(*, n_true: int = 100, name: str = "a", **columns: list[float]) -> TileCounts:
    """Tiles from columns; columns that are not named are 0."""
    length = len(next(iter(columns.values())))
    values = np.zeros((length, len(COLUMNS)))
    for column, numbers in columns.items():
        values[:, COLUMNS.index(column)] = numbers
    return TileCounts(keys=tuple((name, i) for i in range(length)), values=values, n_true=n_true)


def _region(name: str = "a", shape: tuple[int, int, int] = (10, 100, 100)) -> Region:
    return Region(volume=name, origin=(0, 0, 0), shape=shape, voxel_size_nm=(10.0, 10.0, 10.0))


def _object(name: int, side: str, voxels: int, x: float, volume_name: str = "a") -> ObjectRow:
    return ObjectRow(
        volume=volume_name,
        side=side,  # type: ignore[arg-type]
        id=name,
        voxels=voxels,
        centroid=(5.0, 5.0, x),
        touches_border=False,
    )


def _noise_record(folder: Path, seed: int, *, ignored: bool = False) -> tuple[Record, TileCounts]:
    """A record of a random prediction of two random volumes, and its tiles."""
    rng = np.random.default_rng(seed)
    volumes, labels = [], {}
    for name in ("a", "b"):
        truth = _boxes(rng)
        moved = np.roll(truth, 1, axis=2)
        moved[rng.random(moved.shape) < 0.02] = 77
        blocks = np.kron(
            rng.random((4, 20, 20)) < 0.45, np.ones((2, 2, 2), bool)
        )  # some objects mostly in them
        ignore = blocks if ignored else None
        volumes.append(
            Volume(
                name=name,
                image=np.zeros(truth.shape, np.uint8),
                labels=truth,
                label_kind="instance",
                voxel_size_nm=(10.0, 10.0, 10.0),
                ignore=ignore,
            )
        )
        labels[name] = moved
    record = score(write_prediction(folder, labels), volumes)
    tiles = tile_counts(
        record.regions,
        read_overlaps(record, folder),
        read_objects(record, folder),
        read_false(record, folder),
    )
    return record, tiles


def _boxes(rng: np.random.Generator) -> NDArray[np.uint16]:
    labels = np.zeros((8, 40, 40), np.uint16)
    for name in range(1, 30):
        z, y, x = rng.integers(0, (6, 36, 36))
        labels[z : z + 2, y : y + 4, x : x + rng.integers(2, 5)] = name
    return labels


@pytest.mark.parametrize("ignored", [False, True])
def test_tiles_add_up_to_the_record(tmp_path: Path, ignored: bool) -> None:
    """The sums over tiles are the counts of the record, and their ratios its scores."""
    record, tiles = _noise_record(tmp_path, 0, ignored=ignored)
    sums = tiles.values.sum(axis=0)
    voxels = record.counts.voxels
    assert sums[:3].tolist() == [voxels.tp, voxels.fp, voxels.fn]
    for key, ratio in ALL.items():
        assert float(ratio.of(sums)) == pytest.approx(record.scores[key], abs=1e-12), key
    assert len({name for name, _ in tiles.keys}) == 2


def test_columns_of_objects(tmp_path: Path) -> None:
    """Objects by tile sum to the objects of the record at each level."""
    record, tiles = _noise_record(tmp_path, 1)
    sums = dict(zip(COLUMNS, tiles.values.sum(axis=0).tolist(), strict=True))
    for one, name in zip(record.counts.objects, ("50", "strict", "75"), strict=True):
        assert (sums[f"tp_{name}"], sums[f"fp_{name}"], sums[f"fn_{name}"]) == (one.tp, one.fp, one.fn)


def test_objects_stay_whole() -> None:
    """A true object brings all its voxels to the tile of its centroid; a partner follows it there.

    Truth 1 (1000 voxels, x = 10) is half covered by prediction 1, whose centroid lies in another tile;
    prediction 2 (200 voxels, x = 95) touches nothing and stays where it is.
    """
    table = OverlapTable.from_rows([(0, 0, 98_300), (1, 1, 500), (1, 0, 500), (0, 1, 500), (0, 2, 200)])
    objects = [
        _object(1, "true", 1000, 10.0),
        _object(1, "pred", 1000, 60.0),
        _object(2, "pred", 200, 95.0),
    ]
    region = _region()
    grid = tile_grid(region, [1000])
    # diameter (6000 / pi) ** (1/3) = 12.4 voxels, so tiles of at least 24.8 in 10 x 100 x 100: one, four, four
    assert grid == (1, 4, 4)
    tiles = tile_counts([region], {"a": table}, objects)
    filled = {
        i: dict(zip(COLUMNS, row.tolist(), strict=True)) for i, row in enumerate(tiles.values) if row.any()
    }
    assert sorted(filled) == [0, 3]
    assert (filled[0]["tp"], filled[0]["fp"], filled[0]["fn"]) == (500, 500, 500)
    assert (filled[0]["fp_50"], filled[0]["fn_50"]) == (1, 1)  # IoU 500 / 1500
    assert (filled[3]["fp"], filled[3]["fp_50"]) == (200, 1)


def test_a_prediction_follows_its_largest_partner() -> None:
    """Of two true objects the one that shares more takes the prediction along, whatever the order of ids."""
    for more, less in ((1, 2), (2, 1)):
        table = OverlapTable.from_rows(
            [(0, 0, 97_000), (more, 1, 900), (less, 1, 100), (less, 0, 900), (0, 1, 50)]
        )
        places = {more: 90.0, less: 10.0}
        objects = [
            *(_object(name, "true", 1000, x) for name, x in places.items()),
            _object(1, "pred", 1050, 50.0),
        ]
        tiles = tile_counts([_region()], {"a": table}, objects)
        assert np.flatnonzero(tiles.values[:, 1]).tolist() == [3]


def test_false_voxels_count_where_they_lie() -> None:
    """With their places known, the false voxels of one blob spread over the tiles instead of ruling one."""
    table = OverlapTable.from_rows([(0, 1, 99_000), (1, 1, 1000)])
    objects = [_object(1, "true", 1000, 10.0), _object(1, "pred", 100_000, 50.0)]
    gathered = tile_counts([_region()], {"a": table}, objects)
    assert gathered.values[:, 1].tolist() == [99_000.0] + [0.0] * 15
    places = np.full(16, 6250)
    places[0] -= 1000
    spread = tile_counts([_region()], {"a": table}, objects, {"a": places})
    assert spread.values[:, 1].tolist() == places.tolist()
    assert "iou" not in intervals([gathered])
    assert "iou" not in intervals([spread])  # all hits still lie in one tile


def test_false_voxels_have_to_be_those_of_the_table() -> None:
    """Another number of false voxels, or of tiles, is a contradiction."""
    table = OverlapTable.from_rows([(0, 1, 99_000), (1, 1, 1000)])
    objects = [_object(1, "true", 1000, 10.0), _object(1, "pred", 100_000, 50.0)]
    for wrong in ([6250] * 16, [99_000], []):
        with pytest.raises(RecordError, match="99000 in 16"):
            tile_counts([_region()], {"a": table}, objects, {"a": np.array(wrong, dtype=np.int64)})


def test_missing_objects_are_told() -> None:
    """An overlap table without its objects cannot be sorted into tiles."""
    table = OverlapTable.from_rows([(0, 0, 99_999), (5, 0, 1)])
    with pytest.raises(RecordError, match="Object 5 of volume 'a'"):
        tile_counts([_region()], {"a": table}, [])


def test_grid_follows_the_truth() -> None:
    """Small objects allow more tiles, up to a limit; sides never fall below two median diameters."""
    region = _region(shape=(40, 400, 400))
    assert tile_grid(region, []) == (1, 1, 1)
    assert tile_grid(region, [10**9]) == (1, 1, 1)
    for voxels in (30, 300, 3000, 30_000):
        grid = tile_grid(region, [voxels])
        assert math.prod(grid) <= MAX_TILES
        diameter = (6 / math.pi * voxels) ** (1 / 3)
        for size, tiles in zip(region.shape, grid, strict=True):
            assert tiles == 1 or size / tiles >= 2 * diameter
    assert math.prod(tile_grid(region, [30])) > math.prod(tile_grid(region, [30_000]))


def test_grid_counts_in_nanometres() -> None:
    """Thick sections make fewer tiles along z, not fewer voxels."""
    thin = Region(volume="a", origin=(0, 0, 0), shape=(20, 200, 200), voxel_size_nm=(50.0, 5.0, 5.0))
    z, y, x = tile_grid(thin, [1000])  # diameter 134 nm, so sides of at least 268 nm in 1000 x 1000 x 1000
    assert (z, y, x) == (3, 3, 3)


def test_equal_tiles_for_all_predictions(tmp_path: Path) -> None:
    """The grid is that of the truth, so any two predictions can be paired."""
    one = score(write_prediction(tmp_path / "1", {"a": blobs(1)}), [volume()])
    two = score(write_prediction(tmp_path / "2", {"a": np.ones_like(blobs())}), [volume()])
    first, second = (
        tile_counts(r.regions, read_overlaps(r, tmp_path), read_objects(r, tmp_path)) for r in (one, two)
    )
    assert first.keys == second.keys


def test_jackknife_by_hand() -> None:
    """Three tiles, IoU 6/10, 8/10 and 7/10, worked out beside the code."""
    found = intervals([_tiles(tp=[6, 8, 7], fp=[2, 1, 1], fn=[2, 1, 2])])["iou"]

    def logit(p: float) -> float:
        return math.log(p / (1 - p))

    parts = [logit(15 / 20), logit(13 / 20), logit(14 / 20)]
    mean = sum(parts) / 3
    error = math.sqrt(2 / 3 * sum((part - mean) ** 2 for part in parts))
    t = 4.302652729696142  # 97.5 % point of Student's t with 2 degrees of freedom
    low, high = (1 / (1 + math.exp(-(logit(21 / 30) + sign * t * error))) for sign in (-1, 1))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert (found.units, found.level) == (3, 0.95)


def test_bootstrap_by_hand() -> None:
    """Two tiles of F1 1 and 0: draws give 0, 1/2 or 1 with weights 1/4, 1/2, 1/4, so the ends are 0 and 1."""
    found = intervals([_tiles(tp_50=[3, 0], fn_50=[0, 3], fp_50=[0, 3])])["f1_50"]
    assert (found.low, found.high) == (0.0, 1.0)


def test_bootstrap_is_the_same_every_time() -> None:
    """Draws come from raw bits with a fixed seed: the first of them never change."""
    tiles = _tiles(tp_50=[3, 1, 2, 5, 4], fn_50=[0, 3, 1, 2, 2], fp_50=[1, 1, 0, 0, 2])
    first, second = intervals([tiles])["f1_50"], intervals([tiles])["f1_50"]
    assert first == second
    assert np.random.PCG64(0).random_raw(2).tolist() == [11749869230777074271, 4976686463289251617]


def _random_tiles(seed: int, tiles: int = 40) -> TileCounts:
    rng = random.Random(seed)
    columns = {name: [float(rng.randint(1, 50)) for _ in range(tiles)] for name in COLUMNS}
    return _tiles(**columns)


@pytest.mark.parametrize("seed", range(5))
def test_identities(seed: int) -> None:
    """Scaling all counts, doubling a seed or adding empty tiles changes nothing; the score lies inside."""
    tiles = _random_tiles(seed)
    found = intervals([tiles])
    assert set(found) == set(ALL)
    scaled = TileCounts(keys=tiles.keys, values=tiles.values * 8, n_true=tiles.n_true)
    assert intervals([scaled]) == found
    assert intervals([tiles, tiles]) == found
    padded = TileCounts(
        keys=(*tiles.keys, ("a", 99)),
        values=np.concatenate([tiles.values, np.zeros((1, len(COLUMNS)))]),
        n_true=tiles.n_true,
    )
    assert intervals([padded]) == found
    for key, ratio in ALL.items():
        value = float(ratio.of(tiles.values.sum(axis=0)))
        assert found[key].low < value < found[key].high


@pytest.mark.parametrize("seed", range(5))
def test_order_of_tiles_does_not_matter(seed: int) -> None:
    """The jackknife leaves out each tile once, in any order."""
    tiles = _random_tiles(seed)
    turned = TileCounts(keys=tiles.keys, values=tiles.values[::-1], n_true=tiles.n_true)
    for key in RATIOS:
        one, other = intervals([tiles])[key], intervals([turned])[key]
        assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-12)


def test_dice_and_iou_tell_the_same() -> None:
    """Dice is 2 IoU / (1 + IoU), and the logit of one is that of the other plus log 2: ends map onto ends."""
    found = intervals([_random_tiles(3)])
    for end in ("low", "high"):
        iou, dice = getattr(found["iou"], end), getattr(found["dice"], end)
        assert dice == pytest.approx(2 * iou / (1 + iou), rel=1e-12)


def test_more_tiles_are_narrower() -> None:
    """Four times the tissue gives about half the width."""
    wide, narrow = intervals([_random_tiles(1, 50)])["iou"], intervals([_random_tiles(1, 200)])["iou"]
    assert 0.35 < (narrow.high - narrow.low) / (wide.high - wide.low) < 0.65


def test_seeds_are_one_score() -> None:
    """With two seeds the interval is about their mean, not about either."""
    low, high = _tiles(tp=[5.0] * 40, fn=[15.0] * 40), _tiles(tp=[15.0, 14.0] * 20, fn=[5.0, 6.0] * 20)
    found = intervals([low, high])["iou"]
    assert found.low < (0.25 + 0.725) / 2 < found.high
    assert found.low > 0.25
    assert found.high < 0.725


@pytest.mark.parametrize(
    ("tiles", "reliable"),
    [
        (_tiles(tp=[9.0, 8.0] * 15, fn=[1.0] * 30), True),
        (_tiles(tp=[9.0, 8.0] * 14, fn=[1.0] * 28), False),
        (_tiles(tp=[9.0, 8.0] * 15, fn=[1.0] * 30, n_true=29), False),
        (_tiles(tp=[900.0, *[8.0] * 29], fn=[1.0] * 30), False),
    ],
    ids=["enough", "few tiles", "few objects", "one tile rules"],
)
def test_reliability(tiles: TileCounts, reliable: bool) -> None:
    """Below 30 tiles or objects, or with one tile that holds a quarter, the interval says so."""
    assert intervals([tiles])["iou"].reliable is reliable


@pytest.mark.parametrize(
    "tiles",
    [
        _tiles(tp=[5.0] * 40),
        _tiles(fn=[5.0] * 40),
        _tiles(tp=[0.0] * 40),
        _tiles(tp=[5.0], fn=[5.0]),
        _tiles(tp=[5.0, 0.0], fn=[0.0, 5.0]),
    ],
    ids=["perfect", "nothing found", "empty", "one tile", "perfect without a tile"],
)
def test_where_there_is_no_interval(tiles: TileCounts) -> None:
    """At 0 or 1, on one tile, or without anything, there is no interval rather than a wrong one."""
    assert "iou" not in intervals([tiles])


def test_no_false_certainty_of_object_scores() -> None:
    """When all objects match, drawing tiles again can only say 1; that is no interval."""
    assert "f1_50" not in intervals([_tiles(tp_50=[2.0] * 40)])
    assert "f1_50" not in intervals([_tiles(fn_50=[2.0] * 40)])


def test_paired_difference_is_the_paired_t_test() -> None:
    """With equal denominators the jackknife is the textbook paired t test of the tile scores."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(20, 80, (2, 25))
    found = paired_difference(
        [_tiles(tp=first.tolist(), fn=(100 - first).tolist())],
        [_tiles(tp=second.tolist(), fn=(100 - second).tolist())],
        metric="recall",
    )
    known = stats.ttest_rel(first / 100, second / 100)
    ends = known.confidence_interval(0.95)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert found.value == pytest.approx((first - second).mean() / 100)


def test_paired_difference_is_antisymmetric() -> None:
    """Turned round, the difference changes its sign and nothing else."""
    one, two = _random_tiles(1), _random_tiles(2)
    there, back = paired_difference([one], [two]), paired_difference([two], [one])
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p == pytest.approx(back.p)


def test_no_difference_to_itself() -> None:
    """A prediction is not told apart from itself, nor from the mean of itself twice."""
    tiles = _random_tiles(1)
    found = paired_difference([tiles], [tiles, tiles])
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_constant_difference_is_certain() -> None:
    """If every tile says exactly the same, nothing is left to chance."""
    found = paired_difference([_tiles(tp=[3.0] * 9, fn=[1.0] * 9)], [_tiles(tp=[2.0] * 9, fn=[2.0] * 9)])
    assert found.p == 0.0
    assert found.low == found.high == found.value == 0.25


def test_pairing_cancels_what_both_share() -> None:
    """Hard tiles are hard for both: the paired interval is much narrower than either alone."""
    rng = np.random.default_rng(1)
    hard = rng.uniform(0.3, 0.9, 50)
    one, two = (
        _tiles(tp=(1000 * hard + add).tolist(), fn=(1000 * (1 - hard) - add).tolist()) for add in (30.0, 0.0)
    )
    found = paired_difference([one], [two])
    alone = intervals([one])["iou"]
    assert found.low > 0
    assert found.high - found.low < (alone.high - alone.low) / 5


def test_different_tiles_do_not_pair() -> None:
    """Predictions of two splits are not compared."""
    with pytest.raises(BadInputError, match="same tiles"):
        paired_difference([_tiles(tp=[1.0, 2.0])], [_tiles(tp=[1.0, 2.0], name="b")])
    with pytest.raises(BadInputError, match="same tiles"):
        intervals([_tiles(tp=[1.0, 2.0]), _tiles(tp=[1.0, 2.0], name="b")])


def test_one_tile_cannot_tell() -> None:
    """Without a second tile any difference may be chance."""
    found = paired_difference([_tiles(tp=[3.0], fn=[1.0])], [_tiles(tp=[1.0], fn=[3.0])])
    assert found.p == 1.0
    assert math.isnan(found.low)


def test_holm_by_hand() -> None:
    """Smallest times three, next times two, then one; never below the one before, never above 1."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


def test_tie_group() -> None:
    """The close second is tied, the far third is not; differences are best minus other, whatever the names."""
    rng = np.random.default_rng(2)
    hard = rng.uniform(0.4, 0.8, 40)
    gains = {"z-best": 60.0, "close": 59.0, "far": 0.0}
    seeds_of = {}
    for name, gain in gains.items():
        tp = 1000 * hard + gain + rng.normal(0, 10, 40)
        seeds_of[name] = [_tiles(tp=tp.tolist(), fn=(1000 - tp).tolist())]
    found = versus_best(seeds_of, "z-best")
    assert set(found) == {"close", "far"}
    assert found["close"].tied
    assert not found["far"].tied
    assert found["far"].difference.value == pytest.approx(0.06, abs=0.01)
    assert found["far"].p >= found["far"].difference.p


def test_holm_counts_all_pairs() -> None:
    """Three entries are three tests, so the smallest probability is tripled."""
    seeds_of = {name: [_random_tiles(seed)] for seed, name in enumerate("abc")}
    pairs = [paired_difference(seeds_of[x], seeds_of[y]).p for x, y in (("a", "b"), ("a", "c"), ("b", "c"))]
    found = versus_best(seeds_of, "a")
    assert [found["b"].p, found["c"].p] == pytest.approx(holm(pairs)[:2])


def test_a_lone_entry_has_no_rival() -> None:
    """One entry is compared with nobody."""
    assert versus_best({"a": [_random_tiles(0)]}, "a") == {}


@pytest.mark.slow
def test_coverage() -> None:
    """On 400 simulated volumes of about 200 objects, nominal 95 % intervals hold the truth in nine of ten at least."""
    rng = np.random.default_rng(0)

    def draw() -> TileCounts:
        n = int(rng.poisson(200))
        size = rng.lognormal(9, 0.7, n)
        found = np.where(rng.random(n) < 0.05, 0, rng.beta(20, 3, n))
        tile = rng.integers(0, 64, n)
        tp, fn, fp = (
            np.bincount(tile, w, 64) for w in (found * size, (1 - found) * size, 0.1 * found * size)
        )
        return _tiles(tp=tp.tolist(), fn=fn.tolist(), fp=fp.tolist(), n_true=n)

    truth = float(RATIOS["iou"].of(sum(draw().values.sum(axis=0) for _ in range(2000))))
    held = [one.low <= truth <= one.high for one in (intervals([draw()])["iou"] for _ in range(400))]
    assert 0.90 <= np.mean(held) <= 0.98


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 29, 30, 99, 1000])
def test_student_is_that_of_scipy(freedom: int) -> None:
    """Tails and quantiles agree to twelve digits, far out too."""
    from scipy.special import stdtr, stdtrit

    for value in (0.0, 0.001, 0.3, 1.0, 2.5, 12.0, 400.0):
        assert t_below(-value, freedom) == pytest.approx(float(stdtr(freedom, -value)), rel=1e-12)
        assert t_below(value, freedom) == pytest.approx(float(stdtr(freedom, value)), rel=1e-12)
    for probability in (0.5, 0.6, 0.975, 0.9995):
        expected = float(stdtrit(freedom, probability))
        assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-11, abs=1e-11)
