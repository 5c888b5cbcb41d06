"""Which predicted labels meet one true object: the answer to "why this score?". No pooling lives here."""

from mitobench.metrics.overlap import OverlapTable

Partner = tuple[int, int, float]
"""Predicted id (0 = left as background), shared voxels, IoU of the pair (0.0 for background)."""


def partners(table: OverlapTable, object_id: int) -> list[Partner]:
    """The predicted labels that meet one true object, most shared first.

    Args:
        table: Of one volume.
        object_id: Id of the true object.

    Returns:
        One row per predicted label.

    Empty: No such object, or all of it ignored -> an empty list.
    """
    rows = [(true_id, pred_id, voxels) for true_id, pred_id, voxels, _ in table.rows() if voxels]
    size_true = sum(voxels for true_id, _, voxels in rows if true_id == object_id)
    met = {pred_id: voxels for true_id, pred_id, voxels in rows if true_id == object_id}
    size_pred = dict.fromkeys(met, 0)
    for _, pred_id, voxels in rows:
        if pred_id in size_pred:
            size_pred[pred_id] += voxels
    ordered = sorted(met.items(), key=lambda pair: (-pair[1], pair[0]))
    return [
        (pred_id, shared, shared / (size_true + size_pred[pred_id] - shared) if pred_id else 0.0)
        for pred_id, shared in ordered
    ]
