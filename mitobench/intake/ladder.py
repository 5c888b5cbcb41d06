"""Who may move a row from one rung of the trust ladder to another. A table of facts; changes nothing."""

from typing import Literal

from mitobench.errors import IntakeError

Actor = Literal["submitter", "ci", "maintainer"]
"""Who wants the change; the words of `provenance.who`."""
STEPS: dict[tuple[str | None, str], frozenset[Actor]] = {
    (None, "self-scored"): frozenset({"submitter", "maintainer"}),
    (None, "rescored"): frozenset({"maintainer"}),
    (None, "reproduced"): frozenset({"maintainer"}),
    ("self-scored", "rescored"): frozenset({"ci", "maintainer"}),
    ("self-scored", "reproduced"): frozenset({"maintainer"}),
    ("self-scored", "disputed"): frozenset({"maintainer"}),
    ("self-scored", "withdrawn"): frozenset({"submitter", "maintainer"}),
    ("rescored", "self-scored"): frozenset({"submitter", "maintainer"}),
    ("rescored", "reproduced"): frozenset({"maintainer"}),
    ("rescored", "disputed"): frozenset({"maintainer"}),
    ("rescored", "withdrawn"): frozenset({"submitter", "maintainer"}),
    ("reproduced", "self-scored"): frozenset({"submitter", "maintainer"}),
    ("reproduced", "disputed"): frozenset({"maintainer"}),
    ("reproduced", "withdrawn"): frozenset({"submitter", "maintainer"}),
    ("disputed", "self-scored"): frozenset({"maintainer"}),
    ("disputed", "rescored"): frozenset({"maintainer"}),
    ("disputed", "reproduced"): frozenset({"maintainer"}),
    ("disputed", "withdrawn"): frozenset({"submitter", "maintainer"}),
}
"""(status before, or None for a new row; status after) to who may do it. What is not here nobody may."""


def check_step(before: str | None, after: str, *, actor: Actor, same_bytes: bool) -> None:
    """Refuse a change of status that the actor may not make.

    Args:
        before: Status of the accepted record; None when it is new.
        after: Status of the record as sent.
        actor: Who sends it.
        same_bytes: Whether nothing but the status differs. What was scored anew is `self-scored` again: nobody has
            looked at it yet.

    Raises:
        IntakeError: Says who could.
    """
    if before == after and (same_bytes or actor == "maintainer" or after == "self-scored"):
        return
    if before is not None and not same_bytes and after != "self-scored" and actor != "maintainer":
        raise IntakeError(
            f"The record has other content, but its status is {after!r}; nobody has checked that content. "
            "Set the status to 'self-scored'."
        )
    allowed = STEPS.get((before, after), frozenset())
    if actor not in allowed:
        who = " or ".join(sorted(allowed)) or "nobody"
        raise IntakeError(
            f"The status may go from {before or 'nothing'} to {after!r} by {who}, not by {actor}. "
            f"Leave it as {before or 'self-scored'}."
        )
