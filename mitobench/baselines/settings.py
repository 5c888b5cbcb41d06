"""Recipe settings as frozen dataclasses whose fields carry their own help text. No recipe lives here."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mitobench.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Scalar = int | float | str | bool
S = TypeVar("S", bound="DataclassInstance")


class SettingField(NamedTuple):
    """One setting, with all that a command line needs to make a flag of it.

    Attributes:
        name: Name of the field, such as "learning_rate".
        type: int, float, str or bool.
        default: Value used when nothing is given.
        help: One sentence; choices are listed in it.
    """

    name: str
    type: type[Scalar]
    default: Scalar
    help: str


def setting(default: Any, text: str, *, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with its help text; Any because a field stands for its value in a class body.

    Args:
        default: Value used when nothing is given.
        text: One sentence of help.
        choices: The only values allowed; empty for any.
    """
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


def fields_of(cls: "type[DataclassInstance]") -> list[SettingField]:
    """The settings of one dataclass, in the order in which it declares them.

    Args:
        cls: Dataclass whose fields were made by `setting`.

    Returns:
        One `SettingField` for each field.
    """
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        choices: tuple[str, ...] = field.metadata["choices"]
        text: str = field.metadata["help"]
        if choices:
            text = f"{text} One of: {', '.join(choices)}."
        found.append(SettingField(field.name, hints[field.name], typing.cast(Scalar, field.default), text))
    return found


def parse_settings(cls: type[S], given: Mapping[str, object]) -> S:
    """A settings dataclass from loose values, each checked against the type of its field.

    Args:
        cls: Dataclass whose fields were made by `setting`.
        given: Values by name; text is accepted for numbers, as it comes from a command line.

    Returns:
        An instance of `cls`; what was not given has its default.

    Raises:
        UnknownNameError: A name that is no setting of this recipe.
        BadInputError: A value of the wrong type or outside its choices.
    """
    known = {field.name: field for field in fields_of(cls)}
    choices = {field.name: field.metadata["choices"] for field in dataclasses.fields(cls)}
    values: dict[str, Scalar] = {}
    for name, value in given.items():
        if name not in known:
            raise UnknownNameError("setting", name, known)
        values[name] = _convert(name, value, known[name].type)
        if choices[name] and values[name] not in choices[name]:
            raise BadInputError(f"Setting {name} is {value!r}; expected one of: {', '.join(choices[name])}.")
    return cls(**values)


def _convert(name: str, value: object, kind: type[Scalar]) -> Scalar:
    converted = _as_bool(value) if kind is bool else _as_number_or_text(value, kind)
    if converted is None:
        raise BadInputError(f"Setting {name} is {value!r}; expected {_A[kind]}.")
    return converted


_A: Mapping[type[Scalar], str] = types.MappingProxyType(
    {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
)
_BOOLS: Mapping[str, bool] = types.MappingProxyType(
    {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
)


def _as_bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else _BOOLS.get(str(value).lower())


def _as_number_or_text(value: object, kind: type[Scalar]) -> Scalar | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if kind is int and isinstance(value, float) and not value.is_integer():
        return None
    try:
        return kind(value)
    except ValueError:
        return None
