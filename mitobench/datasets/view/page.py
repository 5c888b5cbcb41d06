"""One HTML file that says and shows everything: no scripts, no requests, pictures inside. All free text is escaped."""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mitobench.datasets.manifest import SplitManifest
from mitobench.datasets.view import words
from mitobench.datasets.view.files import MARK
from mitobench.datasets.view.histogram import size_histogram
from mitobench.datasets.view.panels import Panel
from mitobench.datasets.view.sheet import png_bytes
from mitobench.datasets.view.statistics import Statistics
from mitobench.drawing.draw import webp_bytes
from mitobench.drawing.escape import link, text
from mitobench.volume import Volume

PAGE_SIDE = 768
"""Longest side of a picture on the page, in pixels."""
PAGE_WIDTH = 1600
"""Of a picture that takes a row of its own, at most."""
MOST_BOXES = 200
"""Rows of the table of boxes; a split with more says so."""

_STYLE = Path(__file__).with_name("assets") / "view.css"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def volume_section(volume: Volume, panels: Iterable[Panel], found: Statistics | None) -> str:
    """One volume: its pictures, then what was counted.

    Args:
        volume: Of the split.
        panels: Its pictures, drawn one by one.
        found: What was counted, or None.
    """
    figures = "".join(_figure(volume.name, panel) for panel in panels)
    return (
        f"<section><h2>{text(volume.name)}</h2>"
        f'<p class="mute long">{text(words.geometry(volume))}; {text(words.counts(volume, found))}.</p>'
        f'<div class="panels">{figures}</div>{_numbers(volume, found)}</section>'
    )


def view_page(
    subject: words.Subject, sections: Sequence[str], *, volumes: list[Volume], manifest: SplitManifest
) -> str:
    """The whole page.

    Args:
        subject: What is looked at.
        sections: Of `volume_section`, one per volume.
        volumes: Those shown.
        manifest: Of the split.
    """
    card = subject.card
    verdict, why = words.licence_lines(card)
    state = "open" if card.licence.pixels_redistributable else "closed"
    labelled = any(volume.labels is not None or volume.ignore is not None for volume in volumes)
    target = f" --target {subject.target}" if subject.other_target else ""
    switches = [("large", "Large pictures", "")]
    if labelled:
        switches.insert(0, ("labels", "Show labels", " checked"))
    legend = "".join(
        f'<span><i class="key-{kind}" aria-hidden="true"></i>{text(said)}</span>'
        for kind, said in words.legend(volumes)
    )
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta name="generator" content="{MARK}">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{text(subject.title)}</title><link rel="icon" href="data:,">',
            f"<style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>",
            f'<header><h1>{text(subject.title)}</h1><p class="mute">{text(subject.subtitle)}</p>',
            f'<div class="notice {state}"><p><b>{text(verdict)}</b> {text(why)} ',
            "Nothing was uploaded: this page is a file on your disk and asks no server for anything.</p></div>",
            "</header>",
            *(f'<input class="switch" type="checkbox" id="{key}"{checked}>' for key, _, checked in switches),
            '<div class="bar">',
            *(f'<label for="{key}">{text(label)}</label>' for key, label, _ in switches),
            f'<span class="legend">{legend}</span></div><main>',
            f"<p>{text(subject.limit)}</p>" if subject.limit else "",
            *sections,
            _boxes(manifest, subject),
            f"<section><h2>The dataset</h2>{_facts(card.rows())}</section></main>",
            f"<footer><p>Please cite: {text(card.citation)}.{_doi(card.doi)}</p>",
            f"<p>Licence: {link(card.licence.url, card.licence.id)}. ",
            f"Made by <code>{MARK} {text(card.key)} --split {text(subject.split)}{text(target)}</code>.</p>",
            "</footer></body></html>\n",
        )
    )


def _figure(name: str, panel: Panel) -> str:
    height, width = panel.image.shape[:2]
    size = f'width="{width}" height="{height}"'
    layer = ""
    if panel.layer is not None and panel.layer.any():
        source = _data("png", png_bytes(panel.layer))
        layer = f'<img class="layer" src="{source}" alt="" {size}>'
    alt = f"{name}, {panel.title}: {panel.caption}"
    image = _data("webp", webp_bytes(panel.image, quality=88))
    return (
        f'<figure{" class=wide" if panel.is_wide else ""}><span class="picture">'
        f'<img src="{image}" alt="{text(alt)}" {size}>{layer}</span>'
        f"<figcaption><b>{text(panel.title)}</b> <span>{text(panel.caption)}</span></figcaption></figure>"
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _numbers(volume: Volume, found: Statistics | None) -> str:
    if found is None:
        return ""
    measured, unit = words.sizes(volume, found)
    pieces = "ids" if volume.label_kind == "instance" else "pieces that share faces"
    rows = [
        (f"Objects ({pieces})", f"{found.n_objects:,}"),
        ("Foreground", words.percent(found.foreground_fraction)),
        ("Left out of scores", words.percent(found.ignored / found.voxels) if found.ignored else ""),
    ]
    if found.n_objects:
        low, middle, high = (float(np.quantile(measured, at)) for at in (0.0, 0.5, 1.0))
        rows.append(("Size: median (smallest to largest)", f"{middle:.3g} ({low:.3g} to {high:.3g}) {unit}"))
    label = f"{volume.name}: histogram of the sizes of {found.n_objects:,} objects in {unit}"
    plot = size_histogram(measured, unit=unit, label=label)
    note = '<p class="mute">Sizes are of what lies inside this box: objects at its faces are cut.</p>'
    return f'<div class="numbers"><div>{_facts(rows)}{note if plot else ""}</div>{plot}</div>'


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    shown = "".join(
        f"<div><dt>{text(name)}</dt><dd>{_linked(value)}</dd></div>" for name, value in rows if value
    )
    return f"<dl>{shown}</dl>"


def _linked(value: str) -> str:
    """Escaped text; an https address in it becomes a link."""
    return " ".join(link(word, word) if word.startswith("https://") else text(word) for word in value.split())


def _doi(doi: str | None) -> str:
    return "" if doi is None else " " + link(f"https://doi.org/{doi}", f"doi:{doi}")


def _boxes(manifest: SplitManifest, subject: words.Subject) -> str:
    every = [(split, box) for split, boxes in manifest.splits.items() for box in boxes]
    rows = "".join(
        f"<tr{' class=shown' if split == subject.split else ''}><td>{text(split)}</td><td>{text(box.volume)}</td>"
        + "".join(
            f"<td>{start:,} to {f'{stop:,}' if stop else 'the end'}</td>"
            for start, stop in zip(box.start, box.stop, strict=True)
        )
        + "</tr>"
        for split, box in every[:MOST_BOXES]
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("split", "volume", "z", "y", "x"))
    more = f"<p>{len(every) - MOST_BOXES} more boxes are not listed.</p>" if len(every) > MOST_BOXES else ""
    why = " ".join(manifest.why.split())
    return (
        f"<section><h2>Where the splits lie</h2><p>{text(why)}</p>"
        '<div class="scroll" role="region" tabindex="0" aria-label="Boxes of all splits in voxels"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}</section>"
    )
