"""A block of tissue: what it is made of, and what one section cuts through. No grey values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.phantom.draws import Draws, Floats, Plane, SmoothField, bump, ramp
from mitobench.datasets.phantom.geometry import FAR, Frame, cells_on, tube_on
from mitobench.datasets.phantom.shapes import Chain, grow_cells, place_mitochondria
from mitobench.datasets.phantom.small import Balls, dense_bodies, vesicles
from mitobench.volume import Index3, VoxelSize

WARP_NM = 45.0
RIPPLE_NM = 16.0
CLEARANCE_NM = np.float32(26.0)  # between a mitochondrion and the membrane of its cell
TUBE_FRACTION = 0.125  # of the box, before clipping; about 0.09 remains

_FIELDS = {  # name: spacing (z, y, x) in nm
    "warp_y": (260.0, 330.0, 330.0),
    "warp_x": (260.0, 330.0, 330.0),
    "ripple_y": (110.0, 105.0, 105.0),
    "ripple_x": (110.0, 105.0, 105.0),
    "outline": (120.0, 110.0, 110.0),
    "wave": (160.0, 150.0, 150.0),
    "gate": (90.0, 95.0, 95.0),
    "wisps": (150.0, 170.0, 170.0),
    "wisp_gate": (250.0, 300.0, 300.0),
    "clumps": (45.0, 40.0, 40.0),
    "tone": (400.0, 500.0, 500.0),
    "shading": (3000.0, 1600.0, 1600.0),
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one mitochondrion looks.

    Attributes:
        tone: Grey value of its matrix.
        period_nm: Distance between cristae.
        across: Share of the path direction in the crista stacking direction, 0 to 1.
        waviness_nm: By how much cristae bend.
        density: Above which value of the gate field there is no crista.
        normal: Unit vector, the other stacking direction.
    """

    tone: float
    period_nm: float
    across: float
    waviness_nm: float
    density: float
    normal: Floats


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """Everything that does not depend on the section; `tubes` holds (cell number, tube)."""

    cells: list[Chain]
    tones: Plane
    tubes: list[tuple[int, Chain]]
    styles: list[Style]
    vesicles: Balls
    bodies: Balls
    fields: dict[str, SmoothField]


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one section cuts through, every array (y, x).

    Attributes:
        frame: Where its pixels are.
        owner: Cell of every pixel.
        gap: Distance to that cell's membrane in nm.
        depth: Signed distance to the nearest mitochondrion in nm, negative inside.
        ids: 1 + number of that mitochondrion, 0 outside.
        cristae: 1 on a crista, 0 off.
        matrix: Grey value of that mitochondrion's matrix.
    """

    frame: Frame
    owner: NDArray[np.int32]
    gap: Plane
    depth: Plane
    ids: NDArray[np.uint16]
    cristae: Plane
    matrix: Plane


def grow_tissue(*, seed: int, shape: Index3, voxel_size_nm: VoxelSize) -> Tissue:
    """The tissue of a block of that size."""
    extent = np.array([size * step for size, step in zip(shape, voxel_size_nm, strict=True)])
    y_nm, x_nm = (np.arange(float(shape[axis])) * voxel_size_nm[axis] for axis in (1, 2))
    cells = grow_cells(Draws(seed, 1), extent)
    tubes = place_mitochondria(Draws(seed, 2), cells, extent, TUBE_FRACTION)
    looks = Draws(seed, 3)
    box = (float(extent[0]), float(extent[1]), float(extent[2]))
    return Tissue(
        cells=cells,
        tones=_cell_tones(looks, len(cells)),
        tubes=tubes,
        styles=[_style(looks, tube) for _, tube in tubes],
        vesicles=vesicles(Draws(seed, 4), cells, extent),
        bodies=dense_bodies(Draws(seed, 5), cells, extent),
        fields={
            name: SmoothField(Draws(seed, 6, number), extent_nm=box, spacing_nm=spacing, y_nm=y_nm, x_nm=x_nm)
            for number, (name, spacing) in enumerate(_FIELDS.items())
        },
    )


def cut_section(
    tissue: Tissue, *, z_nm: float, shift_nm: tuple[float, float], shape: Index3, voxel_size_nm: VoxelSize
) -> Section:
    """What the section at that depth cuts through, misaligned by `shift_nm` (y, x)."""
    _, dy, dx = voxel_size_nm
    y = (np.arange(shape[1]) * dy + shift_nm[0]).astype(np.float32)[:, None]
    x = (np.arange(shape[2]) * dx + shift_nm[1]).astype(np.float32)[None, :]
    frame = Frame(
        z_nm=z_nm,
        y_nm=y + _warp(tissue, "y", z_nm),
        x_nm=x + _warp(tissue, "x", z_nm),
        step_nm=(dy, dx),
        warp_nm=1.8 * (WARP_NM + RIPPLE_NM) + max(abs(shift_nm[0]), abs(shift_nm[1])),
    )
    owner, gap = cells_on(frame, tissue.cells)
    section = Section(
        frame=frame,
        owner=owner,
        gap=gap,
        depth=np.full(gap.shape, FAR),
        ids=np.zeros(gap.shape, np.uint16),
        cristae=np.zeros(gap.shape, np.float32),
        matrix=np.zeros(gap.shape, np.float32),
    )
    planes = {name: tissue.fields[name].plane(z_nm) for name in ("outline", "wave", "gate")}
    for number in range(len(tissue.tubes)):
        _cut_tube(section, tissue, number, planes)
    return section


def _warp(tissue: Tissue, axis: str, z_nm: float) -> Plane:
    """Displacement of every pixel along one axis in nm: wide bends and small ripples."""
    wide = tissue.fields[f"warp_{axis}"].plane(z_nm) * np.float32(WARP_NM)
    return wide + tissue.fields[f"ripple_{axis}"].plane(z_nm) * np.float32(RIPPLE_NM)


def _cell_tones(draws: Draws, n: int) -> Plane:
    """Cytoplasm of every cell, one in six dark as mitochondria are; the last is the space between cells."""
    pale, dark = draws.uniform(148.0, 182.0, n + 1), draws.uniform(112.0, 136.0, n + 1)
    tones = np.where(draws.uniform(0.0, 1.0, n + 1) < 1 / 6, dark, pale)
    tones[-1] = 168.0
    return tones.astype(np.float32)


def _style(draws: Draws, tube: Chain) -> Style:
    middle = tube.tangents[len(tube.tangents) // 2]
    normal = draws.direction() * np.array([0.3, 1.0, 1.0])
    along = float(normal[0] * middle[0] + normal[1] * middle[1] + normal[2] * middle[2])
    normal = normal - along * middle
    square = float(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2])
    upright = abs(float(middle[0])) > 0.6
    return Style(
        tone=draws.one(104.0, 142.0),
        period_nm=draws.one(48.0, 85.0),
        across=draws.one(0.0, 0.4) if upright else draws.one(0.2, 1.0),
        waviness_nm=draws.one(10.0, 60.0),
        density=draws.one(0.05, 0.7),
        normal=normal / max(np.sqrt(square), 1e-9),
    )


def _cut_tube(section: Section, tissue: Tissue, number: int, planes: dict[str, Plane]) -> None:
    """Add one mitochondrion to a section, in place."""
    cell, tube = tissue.tubes[number]
    found = tube_on(section.frame, tube)
    if found is None:
        return
    window, distance, nearest = found
    depth = distance + planes["outline"][window] * np.float32(14.0)
    depth = np.maximum(depth, CLEARANCE_NM - section.gap[window])
    depth = np.where(section.owner[window] == cell, depth, FAR)
    nearer = depth < section.depth[window]
    style = tissue.styles[number]
    cristae = _cristae(section.frame, window, tube, nearest, style, planes)
    section.depth[window] = np.where(nearer, depth, section.depth[window])
    section.ids[window] = np.where(nearer & (depth < 0), np.uint16(number + 1), section.ids[window])
    section.cristae[window] = np.where(nearer, cristae, section.cristae[window])
    section.matrix[window] = np.where(nearer, np.float32(style.tone), section.matrix[window])


def _cristae(
    frame: Frame,
    window: tuple[slice, slice],
    tube: Chain,
    nearest: NDArray[np.int32],
    style: Style,
    planes: dict[str, Plane],
) -> Plane:
    """Where the cristae of one mitochondrion are cut: sheets stacked along its path, bent, interrupted."""
    across, aside = np.float32(style.across), np.float32(1.0 - style.across)
    centres = tube.centres.astype(np.float32)
    stacking = tube.tangents.astype(np.float32) * across + style.normal.astype(np.float32) * aside
    phase = (tube.along.astype(np.float32) * across)[nearest]
    phase = phase + (np.float32(frame.z_nm) - centres[:, 0][nearest]) * stacking[:, 0][nearest]
    phase = phase + (frame.y_nm[window] - centres[:, 1][nearest]) * stacking[:, 1][nearest]
    phase = phase + (frame.x_nm[window] - centres[:, 2][nearest]) * stacking[:, 2][nearest]
    phase = phase + planes["wave"][window] * np.float32(style.waviness_nm)
    turns = phase * np.float32(1.0 / style.period_nm)
    distance = np.abs(turns - np.floor(turns) - np.float32(0.5)) * np.float32(style.period_nm)
    gate = ramp(np.float32(style.density) - planes["gate"][window], 5.0)
    sheets: Plane = bump(distance, 0.0, 15.0) * gate
    return sheets
