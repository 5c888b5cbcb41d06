"""The track cards."""

import pytest

from mitobench.benchmark.tracks import TRACKS, TrackCard, load_track
from mitobench.errors import UnknownNameError


def test_keys_and_what_is_ranked() -> None:
    """The protocol names seven tracks; diagnostics are never ranked; auto alone has no prompt."""
    ranked = {key for key, card in TRACKS.items() if card.ranked}
    assert list(TRACKS) == ["auto", "point", "box", "interactive", "slice-point", "slice-box", "patch-box"]
    assert ranked == {"auto", "point", "box", "interactive"}
    assert {key for key, card in TRACKS.items() if not card.prompted} == {"auto"}


@pytest.mark.parametrize("card", TRACKS.values(), ids=TRACKS)
def test_cards_are_complete(card: TrackCard) -> None:
    """A reader learns what the model saw, what is counted, and why."""
    assert TRACKS[card.key] is card
    for text in (card.title, card.information, card.unit, card.explanation):
        assert text
        assert text == text.strip()
    assert card.information.endswith(".")
    assert card.explanation.endswith(".")


def test_unknown_track() -> None:
    """A misspelt track lists the known ones."""
    with pytest.raises(UnknownNameError, match="Unknown track 'boxes'"):
        load_track("boxes")
