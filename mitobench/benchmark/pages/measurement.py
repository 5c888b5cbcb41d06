"""What one record holds, on the page of its entry: pictures, training curve, every score and count, provenance."""

from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html, plots
from mitobench.benchmark.pages.facts import STATUS_WORDS, Bounds, EntryFacts, Json
from mitobench.benchmark.pages.pictures import Drawn, by_group
from mitobench.benchmark.pages.wrong import mistakes, worst_objects
from mitobench.drawing.escape import text
from mitobench.metrics.card import MetricCard


def measurement_sections(
    entry: EntryFacts,
    *,
    metric_cards: Mapping[str, MetricCard],
    drawn: Drawn,
) -> list[str]:
    """One section per dataset and track: pictures of the first seed, then curve, counts and provenance of each.

    Args:
        entry: The entry.
        metric_cards: Every metric by key.
        drawn: Pictures of its records.
    """
    parts: list[str] = []
    for (track, dataset), stems in by_group(entry.records).items():
        first = entry.records[stems[0]]
        where = f"{dataset}, {track}"
        parts.append(f"## {_safe_heading(where)}")
        seeds = ", ".join(str(entry.records[stem]["seed"]) for stem in stems)
        if len(stems) > 1:
            parts.append(f"Seeds {seeds}: pictures show the first; curves have a line for each.")
        parts += drawn.get((entry.key, stems[0]), ())
        name = f"seed{'s' if len(stems) > 1 else ''} {seeds}"
        whose = f"{first['dataset']}, {track}, {name}"
        parts.append(mistakes([entry.records[stem] for stem in stems], whose))
        parts.append(_curves([(stem, entry.curves[stem]) for stem in stems if stem in entry.curves], name))
        for stem in stems:
            parts += _one_seed(entry, stem, metric_cards)
    return parts


def _safe_heading(words: str) -> str:
    # headings reach the table of contents, which undoes entities; the parts are keys, so nothing is lost here
    return "".join(char for char in words if char.isascii() and (char.isalnum() or char in " @,-_."))


def _one_seed(entry: EntryFacts, stem: str, metric_cards: Mapping[str, MetricCard]) -> list[str]:
    record = entry.records[stem]
    name = f"seed {record['seed']}"
    where = f"{record['dataset']}, {record['track']}, {name}"
    worst = worst_objects(entry.duels.get(stem), where)
    return [
        _details(
            f"Every score and count, {name}",
            _counts(record, where) + _all_scores(record, metric_cards, where),
        ),
        _details(f"Objects that fit worst, {name}", worst) if worst else "",
        _details(f"Provenance, {name}", _provenance(record)),
    ]


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def _curves(curves: Sequence[tuple[str, Json]], name: str) -> str:
    """Training loss and validation IoU, a line for each seed."""

    def lines(kind: str, steps: str, values: str, words: str) -> list[plots.Series]:
        return [
            plots.Series(
                label=words + (f", seed {stem.rpartition('.')[2]}" if len(curves) > 1 else ""),
                steps=curve.get(steps, ()),
                values=curve.get(values, ()),
                kind=kind,
            )
            for stem, curve in curves
        ]

    loss, iou = (
        lines("loss", "step", "train_loss", "training loss"),
        lines("iou", "val_step", "val_iou", "validation IoU"),
    )
    drawings = {
        "Training loss": plots.curve_plot(loss, title=f"Training loss over steps, {name}", y_label="loss"),
        "Validation IoU": plots.curve_plot(
            iou, title=f"Validation IoU over steps, {name}", y_label="IoU", y_range=(0.0, 1.0)
        ),
    }
    shown = "".join(
        f'<figure class="mb-figure">{drawing}<figcaption>{words}, {text(name)}</figcaption></figure>'
        for words, drawing in drawings.items()
        if drawing
    )
    return f'<div class="mb-plots">{shown}</div>' if shown else ""


def _counts(record: Json, where: str) -> str:
    counts = record.get("counts", {})
    voxels = counts.get("voxels", {})
    lines = [["voxels", *(f"{voxels.get(part, 0):,}" for part in ("tp", "fp", "fn", "tn"))]]
    lines += [
        [f"objects at IoU {item['threshold']:.2f}", *(f"{item[part]:,}" for part in ("tp", "fp", "fn")), ""]
        for item in counts.get("objects", ())
    ]
    return html.table(
        ["Counted", "Hit", "False alarm", "Miss", "True background"], lines, caption=f"Counts of {where}"
    )


def _all_scores(record: Json, metric_cards: Mapping[str, MetricCard], where: str) -> str:
    scores, per_volume = record.get("scores", {}), record.get("per_volume", {})
    volumes = sorted(per_volume)
    order = {key: place for place, key in enumerate(metric_cards)}
    lines: list[Sequence[str]] = []
    for key in sorted(scores, key=lambda key: (order.get(key, len(order)), key)):
        card, interval = metric_cards.get(key), record.get("intervals", {}).get(key)
        unit = f" <small>{text(card.unit)}</small>" if card and card.unit else ""
        lines.append(
            [
                text(card.label if card else key) + unit,
                html.number(scores[key], digits=4),
                html.bounds(_bounds(interval)) if interval else "",
                *(html.number(per_volume[name].get(key), digits=4) for name in volumes),
            ]
        )
    head = ["Metric", "All", "95 % interval", *map(text, volumes)]
    return html.table(head, lines, caption=f"Every score of {where}")


def _bounds(interval: Json) -> Bounds:
    return Bounds(**{name: interval[name] for name in ("low", "high", "units", "reliable")})


def _provenance(record: Json) -> str:
    made, prediction = record.get("provenance", {}), record.get("prediction", {})
    status = str(record.get("status", ""))
    roots = sorted(prediction.get("label_roots", {}).items())
    packages = sorted(made.get("packages", {}).items())
    return html.facts(
        [
            ("Status", f"{html.chip(status, kind=status)} {text(STATUS_WORDS.get(status, ''))}"),
            ("Scorer", text(record.get("scorer", ""))),
            ("Scored by", text(made.get("who", ""))),
            ("Scored on", text(made.get("date", ""))),
            ("Command", f"<code>{text(made['command'])}</code>" if made.get("command") else ""),
            ("Split manifest", _hash(record.get("manifest_sha256", ""))),
            ("Predicted labels", ", ".join(f"{text(name)} {_hash(root)}" for name, root in roots)),
            ("Missing volumes", text(", ".join(prediction.get("missing", ())))),
            ("Python", text(made.get("python", ""))),
            ("Packages", text(", ".join(f"{name} {version}" for name, version in packages))),
            ("Platform", text(made.get("platform", ""))),
        ]
    )


def _hash(digest: object) -> str:
    return f'<code title="{text(digest)}">{text(str(digest)[:16])}</code>' if digest else ""
