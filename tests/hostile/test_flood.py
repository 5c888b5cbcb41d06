"""A flood of tiny objects never drops a volume: every one counts against the score, which stays defined."""

from pathlib import Path

import numpy as np
from benchmark_fakes import SHAPE, blobs, score, volume, write_prediction


def test_every_invented_object_lowers_the_score(tmp_path: Path) -> None:
    """From none to every second voxel of the background, scores fall with each step and are numbers to the end."""
    truth = blobs()
    free = np.argwhere((truth == 0) & (np.indices(SHAPE).sum(axis=0) % 2 == 0))
    free = np.random.default_rng(0).permutation(free)
    scores, objects = [], []
    for count in (0, 1, 10, 100, len(free)):
        labels = truth.astype(np.uint32)
        labels[tuple(free[:count].T)] = 10 + np.arange(count)
        path = write_prediction(tmp_path / f"{count}.zip", {"a": labels})
        record = score(path, [volume()], only_container=True, surfaces=False)
        scores.append([record.scores[key] for key in ("iou", "f1_50", "pq", "precision", "rq")])
        objects.append(record.counts.objects[0].n_pred)
    assert objects == [3 + count for count in (0, 1, 10, 100, len(free))]
    assert np.isfinite(np.array(scores, float)).all()
    assert (np.diff(np.array(scores, float), axis=0) < 0).all()
    assert scores[0] == [1.0] * 5
    assert max(scores[-1]) < 0.2
