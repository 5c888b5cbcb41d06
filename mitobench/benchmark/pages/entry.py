"""The page of one leaderboard entry: who, how good, where it errs, how to get the same numbers. No file is read."""

from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.comparison import forest, headline
from mitobench.benchmark.pages.entry_scores import scores_section
from mitobench.benchmark.pages.facts import (
    KIND_WORDS,
    STATUS_WORDS,
    Board,
    EntryFacts,
    Row,
)
from mitobench.benchmark.pages.measurement import measurement_sections
from mitobench.benchmark.pages.pictures import Drawn
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import code_block, is_https, link, text
from mitobench.metrics.card import MetricCard


def entry_page(
    entry: EntryFacts,
    *,
    board: Board,
    metric_cards: Mapping[str, MetricCard],
    track_cards: Mapping[str, TrackCard],
    drawn: Drawn,
) -> str:
    """The page as Markdown.

    Args:
        entry: The entry.
        board: All rows, to set this entry beside the controls.
        metric_cards: Every metric by key.
        track_cards: Every track by key.
        drawn: Pictures of records, from `pictures.draw`.
    """
    rows = [row for row in board.rows if row.entry == entry.key]
    name = str(entry.model.get("title") or entry.key)
    summary = entry.model.get("summary")
    return html.page(
        name,
        '<p class="mb-back"><a href="../leaderboard.html">← Leaderboard</a></p>',
        html.heading(1, name),
        _chips(rows),
        f'<p class="mb-lead">{text(summary)}</p>' if summary else "",
        _about(entry),
        "## Scores",
        scores_section(entry, rows, metric_cards=metric_cards, track_cards=track_cards),
        _beside_controls(entry.key, rows, board),
        *measurement_sections(entry, metric_cards=metric_cards, drawn=drawn),
        "## Get the same numbers",
        _reproduce(entry),
        fallback=entry.key,
        hide=("navigation",),
        description=f"{entry.key} on the mitobench leaderboard.",
        searched=False,  # the list of entries is; two hundred pages of numbers would weigh down every visit
    )


def entries_page(entries: Sequence[EntryFacts], board: Board) -> str:
    """Every entry from A to Z, with what it is and where it was scored."""
    lines = []
    for entry in sorted(
        entries, key=lambda entry: (str(entry.model.get("title") or entry.key).lower(), entry.key)
    ):
        rows = [row for row in board.rows if row.entry == entry.key]
        kinds = dict.fromkeys(KIND_WORDS.get(row.kind, row.kind) for row in rows)
        places = dict.fromkeys(f"{row.dataset}@{row.version}" for row in rows)
        name = text(entry.model.get("title") or entry.key)
        summary = f"<br><small>{text(entry.model['summary'])}</small>" if entry.model.get("summary") else ""
        link_to_page = f'<a href="{text(entry.key)}.html">{name}</a>{summary}'
        lines.append([link_to_page, ", ".join(map(text, kinds)), ", ".join(map(text, places))])
    return html.page(
        "Entries",
        "# Entries",
        html.table(("Entry", "What it is", "Scored on"), lines, caption="Entries"),
        hide=("navigation", "toc"),
        description="Every entry of the mitobench leaderboard.",
        weight=10,  # whoever types the name of an entry wants its page
    )


def _chips(rows: Sequence[Row]) -> str:
    chips = {row.kind: html.chip(KIND_WORDS.get(row.kind, row.kind), kind=row.kind) for row in rows}
    for row in rows:
        chips[row.status] = html.chip(row.status, kind=row.status, tip=STATUS_WORDS.get(row.status, ""))
        if row.seen:
            tip = f"It learnt from {', '.join(row.seen)}, which shows the {row.split} split of {row.dataset}."
            chips["saw"] = html.chip("saw tissue of a test split", kind="disputed", tip=tip)
    return f'<p class="mb-chips">{"".join(chips.values())}</p>' if chips else ""


def _about(entry: EntryFacts) -> str:
    model = entry.model
    parameters = model.get("parameters")
    return html.facts(
        [
            ("Key", f"<code>{text(entry.key)}</code>"),
            ("Authors", _people(model.get("authors"))),
            ("Starts from", _plain(model.get("initialisation"))),
            ("Learnt from", _plain(model.get("training_data")) or "nothing"),
            ("Other data", _plain(model.get("other_data"))),
            ("Prompts", _plain(model.get("prompts"))),
            ("Parameters", html.parameters(parameters) if isinstance(parameters, int) else ""),
            ("Post-processing", _plain(model.get("post_processing"))),
            ("Hardware", _plain(model.get("hardware"))),
            ("Code", _address(model.get("code"))),
            ("Weights", _address(model.get("weights"))),
            ("Predictions", " ".join(_address(file) for file in model.get("predictions") or ())),
            ("Paper", _address(model.get("paper"))),
            ("Licence", _plain(model.get("licence"))),
            ("Notes", _plain(model.get("notes"))),
        ]
    )


def _people(value: object) -> str:
    people = value if isinstance(value, Sequence) and not isinstance(value, str) else [value] if value else []
    return ", ".join(_person(person) for person in people)


def _person(person: object) -> str:
    if not isinstance(person, Mapping):
        return text(person)
    name, orcid = person.get("name", ""), person.get("orcid")
    return link(f"https://orcid.org/{orcid}", name) if orcid else text(name)


def _address(value: object) -> str:
    """A link when it is one; a table such as {url, sha256} as link and start of the hash."""
    if isinstance(value, Mapping):
        rest = [
            f"<code>{text(str(value[key])[:16])}</code>" for key in ("commit", "sha256") if value.get(key)
        ]
        return " ".join(part for part in (_address(value.get("url")), *rest) if part)
    return (link(value, value) if is_https(str(value)) else text(value)) if value else ""


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(text(part) for part in value)
    return "" if value is None else text(value)


def _beside_controls(key: str, rows: Sequence[Row], board: Board) -> str:
    figures = []
    for row in rows:
        peers = [
            peer
            for peer in board.rows
            if peer.group == row.group and (peer.kind == "control" or peer.entry == key)
        ]
        peers.sort(key=headline, reverse=True)
        words = f"{row.dataset}@{row.version} · {row.track}"
        drawing = forest(peers, title=f"Beside the controls: {words}") if len(peers) > 1 else ""
        if drawing:
            figures.append(
                f'<figure class="mb-figure">{drawing}<figcaption>{text(words)}</figcaption></figure>'
            )
    if not figures:
        return ""
    lead = "Controls need no model; whatever lies near them says little about segmentation."
    return f'## Beside the controls\n\n{lead}\n\n<div class="mb-plots">{"".join(figures)}</div>'


def _reproduce(entry: EntryFacts) -> str:
    commands = [str(command) for command in entry.model.get("commands") or ()]
    if not any("mitobench score" in command for command in commands):
        commands += [
            f"mitobench score predictions/ --dataset {record['dataset']} --track {record['track']}"
            for record in entry.records.values()
        ]
    return code_block("\n".join(commands))
