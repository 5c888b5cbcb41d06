"""From a prediction and the truth to a record."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_fakes import ASKED, MANIFEST_SHA256, SHAPE, blobs, score, volume, write_prediction

from mitobench.benchmark.rescore import differences, from_tables, rescored
from mitobench.benchmark.tables import read_objects, read_outlines, read_overlaps
from mitobench.errors import (
    BadInputError,
    MitobenchError,
    PredictionNotFoundError,
    RecordError,
    UnknownNameError,
)
from mitobench.metrics import score_labels
from mitobench.workers import Workers


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_the_truth_scores_one(tmp_path: Path, kind: str) -> None:
    """The test truth itself, handed in as a prediction, is perfect in voxels and objects."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs()}, kind=kind), [volume(kind=kind)])
    assert record.scores["iou"] == record.scores["f1_50"] == record.scores["pq"] == 1.0
    assert record.counts.voxels.fp == record.counts.voxels.fn == 0
    assert [(one.tp, one.fp, one.fn) for one in record.counts.objects] == [(3, 0, 0)] * 3


def test_everything_scores_the_foreground_fraction(tmp_path: Path) -> None:
    """Calling every voxel mitochondrion scores exactly the share that is one."""
    everything = np.ones(SHAPE, np.uint8)
    record = score(write_prediction(tmp_path / "p", {"a": everything}, kind="semantic"), [volume()])
    assert record.scores["iou"] == float((blobs() > 0).mean())
    assert record.scores["recall"] == 1.0


def test_nothing_scores_zero(tmp_path: Path) -> None:
    """An empty prediction misses all three objects."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs() * 0}), [volume()])
    assert record.scores["iou"] == 0.0
    assert record.counts.objects[0].fn == 3


def test_counts_by_hand(tmp_path: Path) -> None:
    """One voxel to the right: each blob keeps (width - 1) / width of its voxels."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    kept = 48 * 2 // 3 + 75 * 4 // 5 + 20 * 1 // 2
    voxels = record.counts.voxels
    assert (voxels.tp, voxels.fp, voxels.fn) == (kept, 143 - kept, 143 - kept)
    assert sum((voxels.tp, voxels.fp, voxels.fn, voxels.tn)) == np.prod(SHAPE)
    # object IoUs 2/4, 4/6 and 1/3: at least one half twice, more than one half once, three quarters never
    assert [(one.threshold, one.strict, one.tp) for one in record.counts.objects] == [
        (0.5, False, 2),
        (0.5, True, 1),
        (0.75, False, 0),
    ]


def test_volumes_are_pooled_not_averaged(tmp_path: Path) -> None:
    """Counts are summed over volumes, then divided; both volumes are kept apart beside it."""
    path = write_prediction(tmp_path / "p", {"a": blobs(), "b": blobs() * 0})
    small = volume("b", labels=np.where(blobs() == 3, 3, 0).astype(np.uint16))
    record = score(path, [volume("a"), small])
    assert record.scores["iou"] == 143 / (143 + 20)
    assert record.per_volume["a"]["iou"] == 1.0
    assert record.per_volume["b"]["iou"] == 0.0
    assert record.counts.objects[0].n_true == 4


def test_equal_ids_in_two_volumes_are_two_objects(tmp_path: Path) -> None:
    """An id is a name inside its volume only."""
    path = write_prediction(tmp_path / "p", {"a": blobs(), "b": blobs()})
    assert score(path, [volume("a"), volume("b")]).counts.objects[0].tp == 6


def test_semantic_truth_is_cut_into_components(tmp_path: Path) -> None:
    """Instances of a semantic side are its 6-connected components, and the record says so."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs()}), [volume(kind="semantic")])
    assert record.truth.kind == "semantic"
    assert record.truth.connectivity == record.definitions.connectivity == 6
    assert record.prediction.connectivity is None
    assert record.counts.objects[0].tp == 3


def test_corners_join_only_at_26(tmp_path: Path) -> None:
    """Two blocks that meet at a corner are two objects with 6 neighbours and one with 26."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[0:2, 0:2, 0:2] = labels[2:4, 2:4, 2:4] = 1
    path = write_prediction(tmp_path / "p", {"a": labels})
    truth = [volume(labels=labels, kind="semantic")]
    assert score(path, truth).counts.objects[0].n_true == 2
    assert score(path, truth, connectivity=26).counts.objects[0].n_true == 1


def test_ignored_voxels_do_not_count(tmp_path: Path) -> None:
    """A false alarm inside the ignore mask costs nothing; one outside does."""
    ignore = np.zeros(SHAPE, bool)
    ignore[:, :, 20:] = True
    prediction = blobs()
    prediction[:, :, 20:] = 9
    path = write_prediction(tmp_path / "p", {"a": prediction})
    record = score(path, [volume(ignore=ignore)])
    assert record.scores["iou"] == record.scores["f1_50"] == 1.0
    assert record.regions[0].ignored_voxels == int(ignore.sum())
    assert record.counts.voxels.tn == int((~ignore).sum()) - 143
    assert score(path, [volume()]).scores["iou"] < 1.0


def test_same_numbers_as_the_arrays(tmp_path: Path) -> None:
    """The record holds what `score_labels` says of the arrays: every score, those of outlines included."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    direct = score_labels(labels_true=blobs(), labels_pred=blobs(1), voxel_size_nm=(30.0, 8.0, 8.0))
    assert set(record.scores) == set(direct)
    for key, value in record.scores.items():
        assert value == direct[key] or (value is None and not np.isfinite(direct[key])), key


def test_missing_volume_scores_as_empty_on_request(tmp_path: Path) -> None:
    """By default a missing volume is an error; asked for, it counts as missed, and the record says so."""
    path = write_prediction(tmp_path / "p", {"a": blobs()})
    volumes = [volume("a"), volume("b")]
    with pytest.raises(PredictionNotFoundError, match="b"):
        score(path, volumes)
    record = score(path, volumes, missing="empty")
    assert record.scores["iou"] == 0.5
    assert record.prediction.missing == ("b",)
    assert set(record.prediction.label_roots) == {"a"}


def test_model_and_seed_come_from_the_prediction(tmp_path: Path) -> None:
    """The manifest names model and seed; an argument overrules it; bare files are unnamed."""
    path = write_prediction(tmp_path / "p", {"a": blobs()}, model="unet", seed=3)
    assert (score(path, [volume()]).model, score(path, [volume()]).seed) == ("unet", 3)
    assert score(path, [volume()], model="other", seed=4).name.stem == "fake@1.auto.4"
    np.save(tmp_path / "a.npy", blobs())
    bare = score(tmp_path / "a.npy", [volume()])
    assert (bare.model, bare.seed, bare.prediction.kind) == ("unnamed", 0, "instance")


@pytest.mark.parametrize("field", ["dataset", "version", "split", "track"])
def test_a_prediction_of_something_else_is_refused(tmp_path: Path, field: str) -> None:
    """What the manifest says and what was asked have to agree."""
    other = {"dataset": "other", "version": "2", "split": "val", "track": "point"}[field]
    path = write_prediction(tmp_path / "p", {"a": blobs()}, **{field: other})
    with pytest.raises(BadInputError, match=f"{field} '{other}', not '{ASKED[field]}'"):
        score(path, [volume()])


def test_unknown_track(tmp_path: Path) -> None:
    """A misspelt track is told before anything is read."""
    with pytest.raises(UnknownNameError, match="Did you mean 'auto'"):
        score(tmp_path / "none", [volume()], track="auot")


def test_hidden_truth(tmp_path: Path) -> None:
    """A split without public labels cannot be scored."""
    hidden = volume()
    object.__setattr__(hidden, "labels", None)
    with pytest.raises(BadInputError, match="not public"):
        score(write_prediction(tmp_path / "p", {"a": blobs()}), [hidden])


def test_no_volumes(tmp_path: Path) -> None:
    """An empty split is refused."""
    with pytest.raises(BadInputError, match="no volumes"):
        score(tmp_path, [])


def test_two_kinds_of_truth(tmp_path: Path) -> None:
    """A split that mixes semantic and instance truth has no single meaning."""
    path = write_prediction(tmp_path / "p", {"a": blobs(), "b": blobs()})
    with pytest.raises(BadInputError, match="instance and semantic"):
        score(path, [volume("a"), volume("b", kind="semantic")])


def test_a_bad_name_is_refused_in_words(tmp_path: Path) -> None:
    """A model key that cannot be a folder name gives one message, not a traceback of the schema library."""
    path = write_prediction(tmp_path / "p", {"a": blobs()})
    with pytest.raises(RecordError, match="model"):
        score(path, [volume()], model="My Model")
    assert issubclass(RecordError, MitobenchError)


def test_nothing_private_is_recorded(tmp_path: Path) -> None:
    """No path of this machine reaches a public record."""
    text = score(write_prediction(tmp_path / "p", {"a": blobs()}), [volume()]).to_json()
    assert str(tmp_path) not in text
    assert str(Path.home()) + "/" not in text


def test_surfaces_are_measured_in_nanometres(tmp_path: Path) -> None:
    """One voxel of 8 nm to the right: within 10 nm, and 8 nm at most; the same beside each volume."""
    path = write_prediction(tmp_path / "p", {"a": blobs(1), "b": blobs()})
    record = score(path, [volume("a"), volume("b")])
    assert record.per_volume["a"]["hd"] == record.scores["hd"] == 8.0
    assert record.per_volume["b"]["hd"] == 0.0
    assert record.scores["nsd_10nm"] == 1.0
    assert 0 < (record.scores["surface_distance"] or 0) < (record.per_volume["a"]["surface_distance"] or 0)


def test_surfaces_respect_ignored_voxels(tmp_path: Path) -> None:
    """A false alarm inside the ignore mask is no surface."""
    ignore = np.zeros(SHAPE, bool)
    ignore[:, :, 20:] = True
    prediction = blobs()
    prediction[:, :, 21:] = 9
    path = write_prediction(tmp_path / "p", {"a": prediction})
    assert score(path, [volume(ignore=ignore)]).scores["hd"] == 0.0


def test_distances_from_nothing_are_null(tmp_path: Path) -> None:
    """Infinity is not JSON: an empty prediction has no distance."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs() * 0}), [volume()])
    assert record.scores["hd95"] is None
    assert record.scores["nsd_10nm"] == 0.0


def test_surfaces_need_a_known_voxel_size(tmp_path: Path) -> None:
    """A stand-in of 1 nm never becomes a score in nm, not even when only one volume has it."""
    found = [volume("a"), replace(volume("b"), voxel_size_nm=(1.0, 1.0, 1.0), voxel_size_known=False)]
    path = write_prediction(tmp_path / "p", {one.name: one.labels for one in found})
    record = score(path, found)
    assert not {"hd95", "nsd_10nm"} & (record.scores.keys() | record.per_volume["a"].keys())
    assert record.scores["iou"] == 1.0
    assert "hd95" in score(path, [replace(one, voxel_size_known=True) for one in found]).scores


def test_a_killed_run_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between two files, the record is not there; the next run writes it whole and sweeps up."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    out = tmp_path / "out" / record.name.file
    replace, done = Path.replace, []

    def killed(self: Path, target: Path) -> Path:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        record.write(out)
    monkeypatch.undo()
    assert not out.exists()
    stale, fresh = (out.with_name(f".{out.name}.{process}.tmp") for process in (1, 2))
    for left in (stale, fresh):
        left.write_text("{")
    os.utime(stale, (0, 0))
    record.write(out)
    assert type(record).read(out) == record
    assert [stale.exists(), fresh.exists()] == [False, True]


def test_surfaces_can_be_left_out(tmp_path: Path) -> None:
    """Without surfaces the other scores are the same."""
    path = write_prediction(tmp_path / "p", {"a": blobs(1)})
    with_them, without = score(path, [volume()]), score(path, [volume()], surfaces=False)
    assert "hd95" not in without.scores
    assert without.scores.items() <= with_them.scores.items()
    assert "hd95" in with_them.per_volume["a"]
    assert "hd95" not in without.per_volume["a"]


def test_progress_is_told(tmp_path: Path) -> None:
    """Long work says how far it is."""
    told: list[tuple[int, int, str]] = []
    path = write_prediction(tmp_path / "p", {"a": blobs()})
    score(path, [volume()], progress=lambda *args: told.append(args))
    assert told[-1][0] == told[-1][1]


def test_scores_follow_from_the_table_alone(tmp_path: Path) -> None:
    """Reading the table back gives exactly the same counts and scores."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    record.write(tmp_path)
    bare = type(record).read(tmp_path / "fake@1.auto.0.json")
    tables = read_overlaps(bare, tmp_path)
    assert differences(bare, tables) == []
    fresh = from_tables(tables).scores
    assert {key: bare.scores[key] for key in fresh} == fresh
    assert rescored(bare, tables) == bare


@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_any_workers_write_the_same_record(tmp_path: Path, crew: Workers, kind: str) -> None:
    """Threads, one process, two, or a cluster: tables equal to the byte, and the record but for its seconds."""
    predictions = {"a": blobs(1), "b": blobs(0) * (blobs(2) == 0)}
    path = write_prediction(tmp_path / "p", predictions, kind=kind)
    volumes = [volume("a", kind=kind, ignore=blobs() == 2), volume("b", kind=kind)]
    records = [score(path, volumes), score(path, volumes, crew=crew)]
    plain = [record.changed(provenance=records[0].provenance).to_json() for record in records]
    assert plain[0] == plain[1]
    assert records[0].files == records[1].files
    assert len(records[0].files) == 4


def test_outlines_follow_from_their_table(tmp_path: Path) -> None:
    """The scores of matched objects are recomputed from the rows beside the record, volume by volume."""
    record = score(
        write_prediction(tmp_path / "p", {"a": blobs(1), "b": blobs() * 0}), [volume("a"), volume("b")]
    )
    record.write(tmp_path)
    tables, outlines = read_overlaps(record, tmp_path), read_outlines(record, tmp_path)
    assert outlines is not None
    assert [row.true_id for row in outlines["a"]] == [1, 2]
    assert outlines["b"] == []
    fresh = from_tables(tables, outlines)
    assert fresh.scores.items() <= record.scores.items()
    assert fresh.per_volume["b"]["matched_hd95"] is None
    assert fresh.scores["matched_hd95"] == record.per_volume["a"]["matched_hd95"]
    edited = record.changed(scores={**record.scores, "matched_hd95": 1.0})
    assert [one.field for one in differences(edited, tables, outlines)] == ["scores.matched_hd95"]
    assert differences(edited, tables) == []
    bare = record.changed(scores={key: v for key, v in record.scores.items() if "matched_" not in key})
    assert rescored(bare, tables, outlines=outlines) == record
    assert [one.field for one in differences(record, tables, {"a": outlines["a"]})] == ["outlines.volumes"]


def test_every_edited_number_is_found(tmp_path: Path) -> None:
    """Whichever score or count is changed, it is named with both values."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    tables = read_overlaps(record, tmp_path)
    for key in from_tables(tables).scores:
        value = record.scores[key]
        edited = record.changed(scores={**record.scores, key: (value or 0.0) + 0.125})
        assert [one.field for one in differences(edited, tables)] == [f"scores.{key}"]
    more = record.changed(per_volume={"a": {**record.per_volume["a"], "iou": 0.99}})
    assert [str(one) for one in differences(more, tables)] == [
        f"per_volume.a.iou is 0.99, but the table gives {record.scores['iou']}"
    ]
    region = record.regions[0]
    grown = record.changed(regions=(type(region)(**{**region.__dict__, "shape": (7, 20, 24)}),))
    assert [one.field for one in differences(grown, tables)] == ["regions.a: (counted, ignored) voxels"]


def test_a_new_metric_reaches_an_old_record(tmp_path: Path) -> None:
    """A record without a metric is not wrong; rescoring fills it in."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    fewer = {key: value for key, value in record.scores.items() if key != "pq"}
    old = record.changed(scores=fewer, per_volume={"a": fewer})
    tables = read_overlaps(old, tmp_path)
    assert differences(old, tables) == []
    assert rescored(old, tables) == record


def test_an_edited_table_is_found(tmp_path: Path) -> None:
    """The hash of the table is in the record."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    path = record.write(tmp_path)
    table = tmp_path / record.table.path
    table.write_text(table.read_text().replace("a,1,1,32,0", "a,1,1,48,0"))
    with pytest.raises(RecordError, match=r"tables/.*sha256.*edited"):
        read_overlaps(type(record).read(path), tmp_path)


def test_objects_beside_the_record(tmp_path: Path) -> None:
    """Size, centroid and border contact of every object, by hand for the first two."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs(1)}), [volume()])
    rows = {(row.side, row.id): row for row in read_objects(record, tmp_path)}
    assert len(rows) == 6
    assert rows["true", 1].voxels == 48
    assert rows["true", 1].centroid == (2.5, 3.5, 3.0)
    assert rows["pred", 1].centroid == (2.5, 3.5, 4.0)
    assert not rows["true", 1].touches_border
    assert rows["true", 3].touches_border


def test_manifest_hash_is_kept(tmp_path: Path) -> None:
    """The record names the split manifest it was scored against."""
    record = score(write_prediction(tmp_path / "p", {"a": blobs()}), [volume()])
    assert record.manifest_sha256 == MANIFEST_SHA256
    assert record.status == "self-scored"
