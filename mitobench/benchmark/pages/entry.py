"""The page of one leaderboard entry: who, how good, where it errs, how to get the same number. No file is read here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mitobench.benchmark.pages import figures, html, plots
from mitobench.benchmark.pages.escape import code_block, is_https, link, text
from mitobench.benchmark.pages.facts import (
    KIND_WORDS,
    STATUS_WORDS,
    Board,
    DatasetFacts,
    EntryFacts,
    Json,
    Row,
    Volumes,
)
from mitobench.benchmark.pages.leaderboard import HEADLINE, SCORE_COLUMNS
from mitobench.benchmark.tracks import TrackCard
from mitobench.metrics.card import MetricCard


def entry_page(
    entry: EntryFacts,
    *,
    board: Board,
    metric_cards: Mapping[str, MetricCard],
    track_cards: Mapping[str, TrackCard],
    dataset_cards: Mapping[str, DatasetFacts],
    volumes: Volumes,
    out: Path,
) -> str:
    """The page as Markdown; writes its pictures under `out/pictures/`.

    Args:
        entry: The entry.
        board: All rows, to set this entry beside the controls.
        metric_cards: Every metric by key.
        track_cards: Every track by key.
        dataset_cards: Every dataset by key.
        volumes: Gives the volumes of a split, or None.
        out: The docs folder that is being filled.
    """
    rows = [row for row in board.rows if row.entry == entry.key]
    name = str(entry.model.get("title") or entry.key)
    parts = [
        '<p class="mb-back"><a href="../leaderboard.html">← Leaderboard</a></p>',
        html.heading(1, name),
        _chips(rows),
        f'<p class="mb-lead">{text(entry.model["summary"])}</p>' if entry.model.get("summary") else "",
        _about(entry),
        "## Scores",
        _scores(rows, metric_cards, track_cards),
        _beside_controls(entry.key, rows, board),
    ]
    for stems in _by_group(entry.records).values():
        parts += _group(entry, stems, metric_cards, dataset_cards, volumes, out)
    parts += ["## Get the same numbers", _reproduce(entry)]
    return html.page(
        name, *parts, fallback=entry.key, description=f"{entry.key} on the mitobench leaderboard."
    )


def _chips(rows: Sequence[Row]) -> str:
    kinds = {row.kind: html.chip(KIND_WORDS.get(row.kind, row.kind), kind=row.kind) for row in rows}
    states = {
        row.status: html.chip(row.status, kind=row.status, tip=STATUS_WORDS.get(row.status, ""))
        for row in rows
    }
    return f'<p class="mb-chips">{"".join((*kinds.values(), *states.values()))}</p>' if rows else ""


def _about(entry: EntryFacts) -> str:
    model = entry.model
    pairs = [
        ("Key", f"<code>{text(entry.key)}</code>"),
        ("Authors", _people(model.get("authors"))),
        ("Code", _address(model.get("code"))),
        ("Weights", _address(model.get("weights"))),
        ("Paper", _address(model.get("paper"))),
        ("Licence", _plain(model.get("licence"))),
        ("Predictions", " ".join(_address(file) for file in model.get("predictions") or ())),
        (
            "Parameters",
            html.parameters(model["parameters"]) if isinstance(model.get("parameters"), int) else "",
        ),
        ("Starts from", _plain(model.get("initialisation"))),
        ("Learnt from", _plain(model.get("training_data")) or "nothing"),
        ("Other data", _plain(model.get("other_data"))),
        ("Prompts", _plain(model.get("prompts"))),
        ("Post-processing", _plain(model.get("post_processing"))),
        ("Hardware", _plain(model.get("hardware"))),
        ("Notes", _plain(model.get("notes"))),
    ]
    return html.facts(pairs)


def _people(value: object) -> str:
    people = value if isinstance(value, Sequence) and not isinstance(value, str) else [value] if value else []
    shown = []
    for person in people:
        if isinstance(person, Mapping):
            orcid = str(person.get("orcid") or "")
            shown.append(
                link(f"https://orcid.org/{orcid}", person.get("name", ""))
                if orcid
                else text(person.get("name", ""))
            )
        else:
            shown.append(text(person))
    return ", ".join(shown)


def _address(value: object) -> str:
    """A link when it is one; a table such as {url, sha256} as link and hash."""
    if isinstance(value, Mapping):
        url = str(value.get("url") or "")
        rest = [
            f"<code>{text(str(value[key])[:16])}</code>" for key in ("commit", "sha256") if value.get(key)
        ]
        return " ".join(part for part in (_address(url), *rest) if part)
    return (link(value, value) if is_https(str(value)) else text(value)) if value else ""


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(text(part) for part in value)
    return text(value) if value not in (None, "") else ""


def _scores(
    rows: Sequence[Row], metric_cards: Mapping[str, MetricCard], track_cards: Mapping[str, TrackCard]
) -> str:
    if not rows:
        return '<p class="mb-note">No row of this entry is on the board.</p>'
    cards = [metric_cards[key] for key in SCORE_COLUMNS if key in metric_cards]
    prompted = any(row.blind is not None for row in rows)
    head = [
        "Dataset",
        "Track",
        "Rank",
        *(f'<span title="{text(card.formula)}">{text(card.label)}</span>' for card in cards),
    ]
    if prompted:
        head += ["Blind", "Gain"]
    lines = []
    for row in rows:
        track = track_cards[row.track].title if row.track in track_cards else row.track
        cells = [
            f'<a href="../datasets/{text(row.dataset)}.html">{text(row.dataset)}@{text(row.version)}</a>',
            f'<a href="../tracks.html#{text(row.track)}">{text(track)}</a>',
            str(row.rank) if row.rank is not None else html.MISSING,
            *(_with_bounds(row, card) for card in cards),
        ]
        lines.append([*cells, html.number(row.blind), html.number(row.gain)] if prompted else cells)
    return html.table(head, lines, caption="Scores on the test split")


def _with_bounds(row: Row, card: MetricCard) -> str:
    shown = html.number(row.scores.get(card.key))
    bounds = row.intervals.get(card.key)
    if bounds is not None:
        unsure = "" if bounds.reliable else "?"
        shown += f'<br><span class="mb-bounds">[{bounds.low:.3f}, {bounds.high:.3f}]{unsure}</span>'
    spread = row.spread.get(card.key)
    if spread is not None and len(row.seeds) > 1:
        shown += f'<br><span class="mb-bounds">seeds {spread[0]:.3f} to {spread[1]:.3f}</span>'
    return shown


def _beside_controls(key: str, rows: Sequence[Row], board: Board) -> str:
    drawings = []
    for row in rows:
        peers = [
            other
            for other in board.rows
            if other.group == row.group
            and (other.kind == "control" or other.entry == key)
            and other.scores.get(HEADLINE) is not None
        ]
        peers.sort(key=lambda other: -(other.scores[HEADLINE] or 0.0))
        if len(peers) > 1:
            points = [
                plots.Point(
                    label=other.name,
                    value=other.scores[HEADLINE] or 0.0,
                    low=other.intervals[HEADLINE].low if HEADLINE in other.intervals else None,
                    high=other.intervals[HEADLINE].high if HEADLINE in other.intervals else None,
                    kind=other.kind if other.entry != key or row.kind == "control" else "submission",
                )
                for other in peers
            ]
            words = f"{row.dataset}@{row.version} · {row.track}"
            drawing = plots.forest_plot(points, title=f"Beside the controls: {words}", axis="foreground IoU")
            drawings.append(
                f'<figure class="mb-figure">{drawing}<figcaption>{text(words)}</figcaption></figure>'
            )
    if not drawings:
        return ""
    lead = "Controls need no model; whatever lies near them says little about segmentation."
    return f'## Beside the controls\n\n{lead}\n\n<div class="mb-plots">{"".join(drawings)}</div>'


def _by_group(records: Mapping[str, Json]) -> dict[tuple[str, str], list[str]]:
    """Record stems by track and dataset@version, seeds in order."""
    groups: dict[tuple[str, str], list[str]] = {}
    for stem, record in sorted(
        records.items(), key=lambda item: (item[1]["track"], item[0], item[1]["seed"])
    ):
        groups.setdefault((str(record["track"]), f"{record['dataset']}@{record['version']}"), []).append(stem)
    return groups


def _group(
    entry: EntryFacts,
    stems: Sequence[str],
    metric_cards: Mapping[str, MetricCard],
    dataset_cards: Mapping[str, DatasetFacts],
    volumes: Volumes,
    out: Path,
) -> list[str]:
    """One dataset and track: pictures of the first seed, then curve, counts and provenance of every seed."""
    first = entry.records[stems[0]]
    dataset, version, split = (str(first[part]) for part in ("dataset", "version", "split"))
    pictures = figures.gallery_section(
        stems[0],
        first,
        gallery=entry.gallery.get(stems[0]),
        volumes=volumes(dataset, version, split),
        dataset=dataset_cards.get(dataset),
        out=out,
        up="../",
    )
    legend = figures.ERROR_LEGEND if "data-mb-compare" in pictures else ""
    track = first["track"]
    parts = [f"## {_safe_heading(f'{dataset}@{version}, {track}')}"]
    if len(stems) > 1:
        parts.append(f"Pictures show seed {first['seed']}; curves and counts stand below for every seed.")
    parts += [_gallery_lead() if legend else "", f'<div class="mb-gallery">{legend}{pictures}</div>']
    for stem in stems:
        record = entry.records[stem]
        name = f"seed {record['seed']}"
        parts += [
            _curve(entry.curves.get(stem), name),
            _details(record, metric_cards, name),
            _provenance(record, name),
        ]
    return parts


def _reproduce(entry: EntryFacts) -> str:
    commands = [str(command) for command in entry.model.get("commands", ())]
    for record in entry.records.values():
        if not commands:
            commands.append("# predict with the code above, one array per volume, then:")
        score = f"mitobench score predictions/ --dataset {record['dataset']} --track {record['track']}"
        if not any("mitobench score" in command for command in commands):
            commands.append(score)
    return code_block("\n".join(commands))


def _safe_heading(words: str) -> str:
    # headings reach the table of contents, which undoes entities; the parts are keys, so nothing is lost here
    return "".join(char for char in words if char.isascii() and (char.isalnum() or char in " @,-_."))


def _gallery_lead() -> str:
    return (
        "The slices are fixed by the depth of the test box, the same for every entry. Drag the handle, or focus it and "
        "use the arrow keys."
    )


def _curve(curve: Json | None, name: str) -> str:
    if not curve:
        return ""
    loss = plots.Series(
        label="training loss", steps=curve.get("step", ()), values=curve.get("train_loss", ()), kind="loss"
    )
    iou = plots.Series(
        label="validation IoU", steps=curve.get("val_step", ()), values=curve.get("val_iou", ()), kind="iou"
    )
    drawings = [
        plots.curve_plot([loss], title=f"Training loss over steps, {name}", y_label="training loss"),
        plots.curve_plot(
            [iou], title=f"Validation IoU over steps, {name}", y_label="validation IoU", y_range=(0.0, 1.0)
        ),
    ]
    shown = "".join(
        f'<figure class="mb-figure">{drawing}<figcaption>{words}, {text(name)}</figcaption></figure>'
        for drawing, words in zip(drawings, ("Training loss", "Validation IoU"), strict=True)
        if drawing
    )
    return f'<div class="mb-plots">{shown}</div>' if shown else ""


def _details(record: Json, metric_cards: Mapping[str, MetricCard], name: str) -> str:
    scores = record.get("scores", {})
    per_volume = record.get("per_volume", {})
    intervals = record.get("intervals", {})
    names = sorted(per_volume)
    order = {key: place for place, key in enumerate(metric_cards)}
    lines = []
    for key in sorted(scores, key=lambda key: (order.get(key, len(order)), key)):
        card = metric_cards.get(key)
        bounds = intervals.get(key)
        shown = (
            f"[{bounds['low']:.3f}, {bounds['high']:.3f}]{'' if bounds['reliable'] else '?'}"
            if bounds
            else ""
        )
        lines.append(
            [
                text(card.label if card else key)
                + (f" <small>{text(card.unit)}</small>" if card and card.unit else ""),
                html.number(scores[key], digits=4),
                shown,
                *(html.number(per_volume[name].get(key), digits=4) for name in names),
            ]
        )
    everything = html.table(["Metric", "All", "Interval", *map(text, names)], lines, caption="Every score")
    counts = record.get("counts", {})
    voxels = counts.get("voxels", {})
    voxel_line = [[text("voxels"), *(f"{voxels.get(part, 0):,}" for part in ("tp", "fp", "fn", "tn"))]]
    object_lines = [
        [f"objects at IoU {item['threshold']:.2f}", *(f"{item[part]:,}" for part in ("tp", "fp", "fn")), ""]
        for item in counts.get("objects", ())
    ]
    sums = html.table(
        ["", "Hit", "False alarm", "Miss", "True background"], voxel_line + object_lines, caption="Counts"
    )
    return f"<details><summary>Every score and count, {text(name)}</summary>{sums}{everything}</details>"


def _provenance(record: Json, name: str) -> str:
    made = record.get("provenance", {})
    packages = ", ".join(f"{name} {version}" for name, version in sorted(made.get("packages", {}).items()))
    roots = record.get("prediction", {}).get("label_roots", {})
    pairs = [
        (
            "Status",
            html.chip(record.get("status", ""), kind=str(record.get("status", "")))
            + " "
            + text(STATUS_WORDS.get(str(record.get("status", "")), "")),
        ),
        ("Scorer", text(record.get("scorer", ""))),
        ("Scored by", text(made.get("who", ""))),
        ("Scored on", text(made.get("date", ""))),
        ("Command", f"<code>{text(made['command'])}</code>" if made.get("command") else ""),
        ("Split manifest", f"<code>{text(str(record.get('manifest_sha256', ''))[:16])}</code>"),
        (
            "Predicted labels",
            ", ".join(
                f"{text(name)} <code>{text(str(root)[:16])}</code>" for name, root in sorted(roots.items())
            ),
        ),
        ("Missing volumes", text(", ".join(record.get("prediction", {}).get("missing", ())))),
        ("Python", text(made.get("python", ""))),
        ("Packages", text(packages)),
        ("Platform", text(made.get("platform", ""))),
    ]
    return f"<details><summary>Provenance, {text(name)}</summary>{html.facts(pairs)}</details>"
