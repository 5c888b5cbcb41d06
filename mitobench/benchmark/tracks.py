"""What a model may know at test time: one card a track. Nothing is scored or ranked here."""

from dataclasses import dataclass

from mitobench.errors import UnknownNameError


@dataclass(frozen=True, kw_only=True)
class TrackCard:
    """What a reader has to know before comparing two rows of a track.

    Attributes:
        key: As typed on the command line.
        title: Name shown in tables.
        information: What the model sees at test time.
        unit: What one prompt, and one count, stands for.
        ranked: Whether rows get a rank; diagnostics are shown without one.
        prompted: Whether the prompts are drawn from the truth.
        explanation: Why the track exists and what its numbers do not say.
    """

    key: str
    title: str
    information: str
    unit: str
    ranked: bool
    prompted: bool
    explanation: str


_CARDS = (
    TrackCard(
        key="auto",
        title="Automatic",
        information="The image alone.",
        unit="volume",
        ranked=True,
        prompted=False,
        explanation=(
            "The headline. A model may prompt itself as it likes; whatever is tuned is tuned on train and "
            "chosen on val."
        ),
    ),
    TrackCard(
        key="point",
        title="One point per object",
        information="One point inside every true object, from a hashed prompt file.",
        unit="object",
        ranked=True,
        prompted=True,
        explanation=(
            "The point lies inside the middle slice of a 3-D object. Objects are given, so invented ones "
            "cannot happen: never compare with automatic rows. Read gain over the blind disc, not the score."
        ),
    ),
    TrackCard(
        key="box",
        title="One box per object",
        information="One 2-D box on the middle slice of every true object, from a hashed prompt file.",
        unit="object",
        ranked=True,
        prompted=True,
        explanation=(
            "The model has to follow the object through the other slices itself. Objects are given: never "
            "compare with automatic rows. Read gain over the blind ellipse, not the score."
        ),
    ),
    TrackCard(
        key="interactive",
        title="Box or point, then up to five clicks",
        information="One prompt per true object, then up to five simulated clicks on its largest error.",
        unit="object",
        ranked=True,
        prompted=True,
        explanation="Ranked by the area under the score over clicks; effort is part of the result.",
    ),
    TrackCard(
        key="slice-point",
        title="One point per object and slice",
        information="A point inside every true object on every slice.",
        unit="slice object",
        ranked=False,
        prompted=True,
        explanation=(
            "A diagnostic: a disc of median radius at the ideal point, image never opened, reached a mean "
            "IoU of 0.56 on one real set."
        ),
    ),
    TrackCard(
        key="slice-box",
        title="One box per object and slice",
        information="A box around every true object on every slice.",
        unit="slice object",
        ranked=False,
        prompted=True,
        explanation=(
            "A diagnostic: an ellipse drawn in the box, image never opened, reached a mean IoU of 0.83 on "
            "two real sets, so these numbers say little about segmentation."
        ),
    ),
    TrackCard(
        key="patch-box",
        title="One box per patch",
        information="One jittered box around all mitochondria of each 256 x 256 patch that has any.",
        unit="patch",
        ranked=False,
        prompted=True,
        explanation=(
            "A diagnostic, kept because a widely used recipe is scored so: patches without mitochondria are "
            "dropped, and the filled box alone reached 0.17 to 0.30 mean patch IoU on three real sets."
        ),
    ),
)

TRACKS: dict[str, TrackCard] = {card.key: card for card in _CARDS}
"""Every track by key; each is ranked apart and never averaged with another."""


def load_track(key: str) -> TrackCard:
    """The card of a track.

    Raises:
        UnknownNameError: No track of that name.
    """
    if key not in TRACKS:
        raise UnknownNameError("track", key, TRACKS)
    return TRACKS[key]
