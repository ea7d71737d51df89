"""Command-line options that are generated from the fields of configuration dataclasses."""

import dataclasses
import typing
from typing import Annotated, Any

import tyro


def setting_names(kind: type) -> list[str]:
    """The fields of a configuration that are plain values, not nested configurations."""
    hints = typing.get_type_hints(kind)
    return [
        field.name
        for field in dataclasses.fields(kind)
        if not dataclasses.is_dataclass(hints[field.name])
    ]


def attribute_texts(kind: type) -> dict[str, str]:
    """The one-line texts in the "Attributes:" section of a class's docstring, by name."""
    texts: dict[str, str] = {}
    name, indent = None, None
    _, _, section = typing.cast(str, kind.__doc__).partition("Attributes:\n")
    for line in section.splitlines():
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        if line.strip() and depth == indent:
            name, _, text = line.strip().partition(": ")
            texts[name] = text
        elif line.strip() and name is not None:
            texts[name] += " " + line.strip()
    return texts


def override_options(kind: type, title: str, *, leave_out: tuple[str, ...] = ()) -> type:
    """Makes a frozen dataclass of options from a configuration's settings; None means not given.

    `kind` is a frozen dataclass whose docstring has "Attributes:", and `title` heads the help text.
    """
    names = [name for name in setting_names(kind) if name not in leave_out]
    return _option_class(kind, title, dict.fromkeys(names))


def config_options(kind: type, title: str, names: tuple[str, ...], **defaults: Any) -> type:
    """Makes a frozen dataclass of options from named settings, with the configuration's defaults.

    `kind` and `title` are those of `override_options`; `defaults` replace the configuration's own.
    """
    own = {field.name: field.default for field in dataclasses.fields(kind)}
    return _option_class(kind, title, {name: {**own, **defaults}[name] for name in names})


def _option_class(kind, title, defaults):
    hints, texts = typing.get_type_hints(kind), attribute_texts(kind)
    made = [
        (
            name,
            Annotated[
                hints[name] | None if default is None else hints[name],
                tyro.conf.arg(
                    help=texts[name],
                    metavar=_metavar(hints[name]),
                    help_behavior_hint="" if default is None else f"(default: {default})",
                ),
            ],
            dataclasses.field(default=default),
        )
        for name, default in defaults.items()
    ]
    made_type = dataclasses.make_dataclass(f"{kind.__name__}Options", made, frozen=True)
    made_type.__doc__ = title
    return made_type


def _metavar(hint: Any) -> str:
    """The placeholder of an option's value in the help text: INT, or [INT ...]."""
    if typing.get_origin(hint) is tuple:
        return f"[{_metavar(typing.get_args(hint)[0])} ...]"
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
    return "True|False" if kinds == [bool] else kinds[0].__name__.upper()


def given_overrides(*options: Any) -> dict[str, Any]:
    """The settings that were given, by name."""
    return {
        field.name: getattr(part, field.name)
        for part in options
        for field in dataclasses.fields(part)
        if getattr(part, field.name) is not None
    }
