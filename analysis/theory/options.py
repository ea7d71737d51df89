"""The options of `python -m analysis theory`, and what can be checked of them without data."""

from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from analysis.common.options import (
    NetworkOptions,
    check_augmentations_once,
    check_network_options,
)
from ntk_aug import augment, theory
from ntk_aug.checks import check_at_least
from ntk_aug.errors import InputError

ON_NETWORKS = ("4.1", "5.1", "A.5", "B.1", "B.3", "F1", "F2", "F3")
"""The statements that are also checked on a real network."""


@dataclass(frozen=True)
class TheoryOptions(NetworkOptions):
    """The paper's theory, statement by statement: does it hold, and how tight is it?

    Checks every numbered statement as printed and as corrected, at random instances and at
    constructed ones, and the statements on networks on a trained one with real augmentations and a
    real coreset. Writes theory.json, theory.npz, figures (PNG, PDF) and theory.html.
    """

    only: tuple[str, ...] = ()
    """Statements by number, such as B.1 or 4.2; default: all."""
    instances: int = theory.DEFAULT_INSTANCES
    """Random instances of each statement."""
    statements_only: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Leave out the real network."""
    classes: tuple[str, ...] = ()
    """Classes by name or number; default: all, or the checkpoint's."""
    checkpoint: str | None = None
    """Folder of a training run to take the network from, instead of pretraining."""
    augment: tuple[str, ...] = ("noise:0.5", "rotation:30")
    """Augmentations of the real network: names, name:strength, or module:function."""
    draws: int = 5
    """Augmented versions of the images per augmentation."""
    n: int = 60
    """Images whose Jacobians are held; each counts one row per class."""
    pool: int | None = None
    """Images among which a tenth is selected, whose singular values are compared; default: 300, or
    all if there are fewer."""
    fraction: float = 0.2
    """Size of the coreset of the n images, as a share."""
    steps: int = 2000
    """Steps of gradient descent for Theorem B.1."""
    out: str = "runs/theory"
    """Folder to write."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace earlier results in that folder."""
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Draw figures and print the tables from this folder's files, without any computation."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say what would be checked, on how many rows and parameters, in how much memory, and stop."""


def check_options(options: TheoryOptions) -> TheoryOptions:
    """Checks what can be checked without data; returns the options with a smooth default network.

    Raises:
      InputError: an unknown statement or augmentation, a number out of range.
    """
    theory.chosen_statements(options.only)
    check_at_least(options.instances, 1, "--instances")
    check_network_options(options, options.checkpoint is not None, networks=1)
    check_at_least(options.draws, 1, "--draws")
    check_at_least(options.n, 2, "--n")
    if options.pool is not None:
        check_at_least(options.pool, 10, "--pool")
    check_at_least(options.steps, 1, "--steps")
    if not 0 < options.fraction <= 1:
        raise InputError(f"--fraction is {options.fraction}, expected above 0 and at most 1")
    check_augmentations_once(options.augment)
    for spec in options.augment:
        augment.build_augmentation(spec)
    pretrained = not (options.checkpoint or options.weights)
    if pretrained and options.model == "mlp" and options.activation is None:
        return replace(options, activation="tanh")  # LJ exists for smooth networks alone
    return options


def network_statements(options: TheoryOptions) -> list[str]:
    """The chosen statements to check on a network; none with --statements-only."""
    if options.statements_only:
        return []
    chosen = theory.chosen_statements(options.only)
    return [number for number in chosen if number in ON_NETWORKS]
