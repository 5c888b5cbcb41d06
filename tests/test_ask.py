"""Questions asked again of the overlap tables: what leaves the count, and that the browser's script says the same."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mitobench
from mitobench.benchmark.ask import Question, ask, packed
from mitobench.benchmark.intervals import object_difference, paired_difference
from mitobench.benchmark.pages.duel import quantiles
from mitobench.benchmark.pages.overall import mean_score
from mitobench.benchmark.tables import ObjectRow
from mitobench.benchmark.tiles import COLUMNS, TileCounts
from mitobench.errors import BadInputError
from mitobench.metrics import OverlapTable, score_tables

SCRIPTS = Path(mitobench.__file__).parent / "benchmark/pages/assets/scripts"


def objects_of(table, cut=()):
    """Rows of the objects of a table; those named in `cut` touch a face."""
    return [
        ObjectRow(
            volume="v", side=side, id=i, voxels=1, centroid=(0.0, 0.0, 0.0), touches_border=(side, i) in cut
        )
        for side, ids in (("true", table.true_ids), ("pred", table.pred_ids))
        for i in np.unique(ids[ids > 0]).tolist()
    ]


def case(seed):
    """Two volumes with ids of any size, ignored voxels, exact halves, and objects cut by a face."""
    draw = np.random.default_rng(seed)
    tables, objects = {}, []
    for name in ("v", "w"):
        names = np.concatenate([[0], np.sort(draw.choice(2**62, 7, replace=False)) + 1]).tolist()
        rows = [
            (names[i], names[j], int(draw.choice([4, 8, 8, 16, 40])), int(draw.choice([0, 0, 0, 9])))
            for i in range(8)
            for j in range(8)
            if draw.random() < (0.9 if i == j else 0.15)
        ]
        tables[name] = OverlapTable.from_rows(rows)
        objects += [
            replace(row, volume=name, touches_border=bool(draw.random() < 0.3))
            for row in objects_of(tables[name])
        ]
    return tables, objects


@pytest.mark.parametrize("seed", range(4))
def test_the_published_question_gives_the_published_scores(seed):
    """With nothing taken out, at one half."""
    tables, objects = case(seed)
    found, published = ask(tables, objects, Question()), score_tables(list(tables.values()))
    pairs = {"iou": "iou", "f1": "f1_50", "seg_acc": "seg_acc_50", "pq": "pq"}
    assert found == pytest.approx({key: published[name] for key, name in pairs.items()}, abs=1e-12)
    assert ask(tables, objects, Question(percent=75))["f1"] == pytest.approx(published["f1_75"], abs=1e-12)


TABLE = OverlapTable.from_rows(
    [(1, 1, 80), (1, 0, 20), (2, 2, 4), (2, 0, 1), (0, 3, 6), (3, 4, 90), (3, 0, 30)]
)


def test_small_objects_go_with_what_lies_in_them():
    """A small true object is void; the prediction on it is no false alarm, nor is a small one on background."""
    assert ask({"v": TABLE}, [], Question())["f1"] == pytest.approx(6 / 7)
    assert ask({"v": TABLE}, [], Question(percent=85))["f1"] == 0
    without = ask({"v": TABLE}, [], Question(small=10))
    assert without["f1"] == 1
    assert without["iou"] == pytest.approx(170 / 226)  # false voxels of a small prediction stay voxels


def test_objects_at_the_faces_go_on_either_side():
    """A true object that is cut by a face takes its partner along; a predicted one is no false alarm."""
    objects = objects_of(TABLE, cut={("true", 1), ("pred", 3)})
    found = ask({"v": TABLE}, objects, Question(faces=False))
    assert found["f1"] == 1
    assert found["iou"] == pytest.approx(94 / 131)
    with pytest.raises(BadInputError, match="keeps no objects"):
        ask({"v": TABLE}, [], Question(faces=False))


@pytest.mark.parametrize("seed", range(3))
def test_the_browser_says_the_same(seed):
    """Random tables under random questions, read from the data file of the page by its own script."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to run the script of the page")
    draw = np.random.default_rng(100 + seed)
    asked, wanted = [], []
    for number in range(20):
        tables, objects = case(100 * seed + number)
        question = Question(
            percent=int(draw.choice([50, 50, 65, 75, 80])),
            small=int(draw.choice([0, 10, 30, 60])),
            faces=bool(draw.random() < 0.5),
        )
        asked.append(
            {"seeds": [packed(tables, objects)], "percent": question.percent, "small": question.small}
        )
        asked[-1]["faces"] = question.faces
        wanted.append(ask(tables, objects, question))
    weighed = [[[0.5, 0.25, None], [1, 3, 0]], [[0.5, None], [1, 1]], [[0.1], [0]], [[0.2, 0.9], [2, 0.5]]]
    program = """
        process.argv.slice(1).forEach((part) => require(part));
        const { asked, weighed } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const all = (one) => ["iou", "f1", "seg_acc", "pq"].map((key) => [key, mitobench.ask(one.seeds, one, key)]);
        const scores = asked.map((one) => Object.fromEntries(all(one)));
        console.log(JSON.stringify({ scores, means: weighed.map((one) => mitobench.mean(...one)) }));
    """
    done = subprocess.run(
        [node, "-e", program, *(str(SCRIPTS / name) for name in ("base.js", "ask.js"))],
        input=json.dumps({"asked": asked, "weighed": weighed}),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["scores"] == [pytest.approx(one, abs=1e-12) for one in wanted]
    assert len({one["f1"] for one in wanted}) > 5
    assert found["means"] == [pytest.approx(mean_score(*one)) for one in weighed]


def test_records_without_objects_answer_all_but_the_faces():
    """Nothing says who touches a face, so no flag is packed."""
    assert packed({"v": TABLE}, [])[0]["true"] is None
    flags = packed({"v": TABLE}, objects_of(TABLE, cut={("true", 2)}))[0]
    assert (flags["true"], flags["pred"]) == ("010", "0000")
    assert flags["rows"][:4] == [0, 3, 6, 0]


@pytest.mark.parametrize("seed", range(2))
def test_the_duel_in_the_browser_is_the_paired_difference(seed):
    """Differences and intervals of several seeds on shared tiles, some of them empty on both sides."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to run the script of the page")
    draw = np.random.default_rng(seed)
    asked, wanted = [], []
    for _ in range(6):
        sides = []
        for seeds in draw.integers(1, 4, 2):
            values = np.zeros((seeds, 12, len(COLUMNS)))
            values[:, :, :3] = draw.integers(0, 200, (seeds, 12, 3)) * (np.arange(12) % 5 > 0)[:, None]
            keys = tuple(("v", number) for number in range(12))
            sides.append([TileCounts(keys=keys, values=one, n_true=40) for one in values])
        asked.append([[one.values[:, :3].ravel().tolist() for one in side] for side in sides])
        wanted.append(paired_difference(*sides))
    program = """
        process.argv.slice(1).forEach((part) => require(part));
        const { asked, t } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        console.log(JSON.stringify(asked.map(([one, two]) => mitobench.paired(one, two, t))));
    """
    done = subprocess.run(
        [node, "-e", program, *(str(SCRIPTS / name) for name in ("base.js", "duel.js"))],
        input=json.dumps({"asked": asked, "t": quantiles(12)}),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [one["units"] for one in found] == [9] * 6
    for one, other in zip(found, wanted, strict=True):
        assert [one["value"], one["low"], one["high"]] == pytest.approx(
            [other.value, other.low, other.high], abs=1e-12
        )


def test_the_duel_of_given_objects_is_the_paired_t_test():
    """The browser's difference and interval over objects are those of Python; one object has no interval."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to run the script of the page")
    draw = np.random.default_rng(5)
    asked = [draw.random((2, size)).tolist() for size in (2, 7, 24, 1)]
    program = """
        process.argv.slice(1).forEach((part) => require(part));
        const { asked, t } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        console.log(JSON.stringify(asked.map(([one, two]) => mitobench.pairedObjects(one, two, t))));
    """
    done = subprocess.run(
        [node, "-e", program, *(str(SCRIPTS / name) for name in ("base.js", "duel.js"))],
        input=json.dumps({"asked": asked, "t": quantiles(24)}),
        capture_output=True,
        text=True,
        check=True,
    )
    *found, alone = json.loads(done.stdout)
    for one, pair in zip(found, asked, strict=False):
        other = object_difference(*(dict(enumerate(side)) for side in pair))
        assert [one["value"], one["low"], one["high"]] == pytest.approx(
            [other.value, other.low, other.high], abs=1e-12
        )
    assert (alone["low"], alone["units"]) == (None, 1)
