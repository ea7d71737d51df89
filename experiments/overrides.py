"""Options of the command line that are generated from the fields of the configurations."""

import dataclasses
import typing
from typing import Annotated, Any

import tyro

from experiments.settings import Experiment, attribute_texts, setting_names
from ntk_aug.training import MethodConfig, TrainingConfig


def override_options(kind: type, title: str, *, leave_out: tuple[str, ...] = ()) -> type:
    """A frozen dataclass with the fields of a configuration, each None for the preset's value.

    Args:
      kind: a frozen dataclass whose docstring tells of each of its "Attributes:".
      title: of these options in the help text.
      leave_out: fields that are no options.
    """
    hints, texts = typing.get_type_hints(kind), attribute_texts(kind)
    made = [
        (
            name,
            Annotated[
                hints[name] | None,
                tyro.conf.arg(
                    help=texts[name], metavar=_metavar(hints[name]), help_behavior_hint=""
                ),
            ],
            dataclasses.field(default=None),
        )
        for name in setting_names(kind)
        if name not in leave_out
    ]
    made_type = dataclasses.make_dataclass(f"{kind.__name__}Overrides", made, frozen=True)
    made_type.__doc__ = title
    return made_type


def _metavar(hint: Any) -> str:
    """How the value of an option is written in the help text: INT, or [INT ...]."""
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


ExperimentOverrides = override_options(Experiment, "Data and network, in place of the preset's.")
TrainingOverrides = override_options(TrainingConfig, "Training, in place of the preset's.")
MethodOverrides = override_options(
    MethodConfig, "Selection and strong augmentation, in place of the preset's."
)
