"""Policies by name: tables of operations, probabilities and levels.

A policy draws `rounds` rows of its table, uniformly and with replacement, and applies the steps of
each in order. A mapping translates levels to magnitudes, see `magnitudes`.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

from ntk_aug.augment.pixels.operations import OPERATIONS
from ntk_aug.augment.pixels.packing import Fill, pack_fill
from ntk_aug.augment.policies.autoaugment_tables import (
    AUTOAUGMENT_CIFAR10,
    AUTOAUGMENT_IMAGENET,
    AUTOAUGMENT_SVHN,
)
from ntk_aug.augment.policies.magnitudes import (
    FAMILIES,
    Magnitudes,
    find_magnitudes,
    magnitude_of,
    mapping_name,
)
from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.errors import InputError

IDENTITY = "Identity"
MIXUP = "Mixup"
"""The only step that needs a second image; without one it does nothing."""

DRAWN = "*"


class Step(NamedTuple):
    """An operation of a policy.

    Attributes:
      operation: a key of OPERATIONS, or Mixup.
      probability: probability of being applied; None draws it uniformly in [0, 1) each time.
      level: level of the mapping; None draws it uniformly each time.
    """

    operation: str
    probability: float | None = 1.0
    level: int | None = None

    def __str__(self):
        """The table cell that `parse_table` reads as this step."""
        numbers = (DRAWN if x is None else f"{x:g}" for x in self[1:])
        return " ".join((self.operation, *numbers))


@dataclass(frozen=True)
class Policy:
    """A table of sub-policies and the mapping of its levels. `str(policy)` shows the table.

    Attributes:
      table: sub-policies, each a tuple of steps.
      rounds: number of sub-policies drawn per image.
      magnitudes: a key of MAGNITUDES, or your own mapping.
      interpolation: interpolation of shears, translations and rotations.
      fill: colour of pixels from outside the image, 0 .. 255, or one value per channel.
      cutout_fill: colour of Cutout's square.

    Raises:
      InputError: an operation, mapping or level is unknown, a probability is not in [0, 1], or the
        table is empty.
    """

    table: tuple[tuple[Step, ...], ...]
    rounds: int = 1
    magnitudes: str | Magnitudes = "torchvision"
    interpolation: str = "nearest"
    fill: Fill = 0
    cutout_fill: Fill = 0

    def __post_init__(self):
        if self.rounds != int(self.rounds):
            raise InputError(f"rounds of a policy is {self.rounds}, expected a whole number")
        check_at_least(self.rounds, 1, "rounds of a policy")
        if not self.table or not all(self.table):
            raise InputError("a policy has no sub-policy, or an empty one; expected steps in each")
        if not all(isinstance(row, tuple) for row in (self.table, *self.table)):
            raise InputError("the table of a policy is not a tuple of tuples: see parse_table")
        find_magnitudes(self.magnitudes)
        pack_fill(self.fill), pack_fill(self.cutout_fill)
        for row in self.table:
            for step in row:
                self._check(step)

    def _check(self, step):
        check_choice(step.operation, (*OPERATIONS, MIXUP), "operation")
        if step.operation != MIXUP:
            check_choice(self.full_name(step.operation), OPERATIONS, "operation")
        if step.probability is not None and not 0 <= step.probability <= 1:
            raise InputError(
                f"probability {step.probability:g} of {step.operation} is not in 0 .. 1"
            )
        if step.level is not None and step.level != int(step.level):
            raise InputError(f"level {step.level} of {step.operation} is not a whole number")
        magnitude_of(step.operation, step.level or 0, height=32, width=32, mapping=self.magnitudes)

    def full_name(self, operation: str) -> str:
        """Returns the operation's name in OPERATIONS under the policy's interpolation."""
        moves = FAMILIES.get(operation) in ("shear", "translate", "rotate")
        plain = not moves or self.interpolation == "nearest"
        return operation if plain else f"{operation}-{self.interpolation}"

    @property
    def operations(self) -> tuple[str, ...]:
        """The identity, then each operation of the table once."""
        names = (step.operation for row in self.table for step in row)
        return tuple(dict.fromkeys((IDENTITY, *names)))

    @property
    def num_steps(self) -> int:
        """Number of steps per image, over all rounds."""
        return self.rounds * max(len(row) for row in self.table)

    def __str__(self):
        """A line of explanation, then one sub-policy per line."""
        first = (
            f"{self.rounds} of {len(self.table)} rows, drawn uniformly with replacement; "
            f"operation, probability, level ({DRAWN}: drawn); "
            f"magnitudes {mapping_name(self.magnitudes)}, "
            f"interpolation {self.interpolation}, fill {self.fill}, Cutout {self.cutout_fill}"
        )
        return "\n".join([first, *(" ; ".join(map(str, row)) for row in self.table)])


def parse_table(text: str) -> tuple[tuple[Step, ...], ...]:
    """Reads a policy's table: one sub-policy per line, `operation probability level ; ...`.

    `*` stands for a probability or level that is drawn. The defaults are probability 1 and a drawn
    level.

    Raises:
      InputError: a cell cannot be read; the message shows it.
    """
    lines = (line.strip() for line in text.splitlines())
    return tuple(tuple(map(_parse_step, line.split(";"))) for line in lines if line)


def _parse_step(cell: str) -> Step:
    name, *numbers = cell.split() or [""]
    probability, level = (*numbers, "1", DRAWN)[0], (*numbers, DRAWN, DRAWN)[1]
    try:
        if len(numbers) > 2:
            raise ValueError
        return Step(
            name,
            None if probability == DRAWN else float(probability),
            None if level == DRAWN else int(level),
        )
    except ValueError:
        raise InputError(
            f"cell {cell.strip()!r} of a policy, expected: operation probability level"
        ) from None


def _single_steps(operations: str, *, probability: float | None = 1.0, level: int | None = None):
    """A table with one row per operation."""
    return tuple((Step(name, probability, level),) for name in operations.split())


_RANDAUGMENT = """Identity AutoContrast Equalize Rotate Solarize Color Posterize Contrast Brightness
    Sharpness ShearX ShearY TranslateX TranslateY"""
_AUGMIX = "AutoContrast Equalize Posterize Rotate Solarize ShearX ShearY TranslateX TranslateY"
_WU = """AutoContrast Brightness Color Contrast Cutout-shifted Equalize Invert Mixup Posterize
    Rotate Sharpness ShearX ShearY Solarize TranslateX TranslateY"""


def randaugment(level: int, *, rounds: int = 2) -> Policy:
    """Torchvision's RandAugment (Cubuk et al. 2020): 2 of 14 operations at one level, 0 to 30."""
    table = _single_steps(_RANDAUGMENT, level=level)
    return Policy(table, rounds=rounds, magnitudes="randaugment")


def wu_policy(cutout_fill: Fill) -> Policy:
    """Two of 16 operations, each with a drawn probability and level (Wu et al. 2020)."""
    table = _single_steps(_WU, probability=None)
    return Policy(table, rounds=2, magnitudes="wu", cutout_fill=cutout_fill)


AUTOAUGMENT = {
    "cifar10": Policy(parse_table(AUTOAUGMENT_CIFAR10)),
    "svhn": Policy(parse_table(AUTOAUGMENT_SVHN)),
    "imagenet": Policy(parse_table(AUTOAUGMENT_IMAGENET)),
}
AUTOAUGMENT_MAPPINGS = ("deepvoltaire", "research", "timm-original", "timm-originalr", "timm-v0")
"""Mappings of AutoAugment besides the default, torchvision's."""

TRIVIALAUGMENT = Policy(_single_steps(_RANDAUGMENT), magnitudes="trivialaugment")

AUGMIX = Policy(_single_steps(_AUGMIX), rounds=9, magnitudes="augmix", interpolation="bilinear")
"""The operations of AugMix (Hendrycks et al. 2020), for three chains of up to three."""

POLICIES = {
    **{f"autoaugment-{name}": policy for name, policy in AUTOAUGMENT.items()},
    **{
        f"autoaugment-{name}-{mapping}": dataclasses.replace(policy, magnitudes=mapping)
        for name, policy in AUTOAUGMENT.items()
        for mapping in AUTOAUGMENT_MAPPINGS
    },
    "randaugment": randaugment(9),
    "trivialaugment": TRIVIALAUGMENT,
    "trivialaugment-original": dataclasses.replace(
        TRIVIALAUGMENT, magnitudes="trivialaugment-original"
    ),
    "augmix": AUGMIX,
}
"""Policies by name, except those of Wu et al., which depend on the data set's mean colour."""
