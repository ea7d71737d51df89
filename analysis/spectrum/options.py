"""The options of `python -m analysis spectrum`, and what can be checked of them without data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from analysis.common.options import (
    NetworkOptions,
    check_augmentations_once,
    check_memory,
    check_network_options,
)
from ntk_aug import jacobian, spectrum
from ntk_aug.checks import check_at_least, check_choice, check_dtype, check_writable_folder
from ntk_aug.errors import InputError
from ntk_aug.ntk.neural_tangents.blocks import NEURAL_TANGENTS_IMPLEMENTATIONS
from ntk_aug.ntk.neural_tangents.kernels import DEFAULT_IMPLEMENTATION


@dataclass(frozen=True)
class SpectrumOptions(NetworkOptions):
    """What augmentation does to the singular values and subspaces of a network's Jacobian.

    Pretrains networks (or takes checkpoints), computes the exact spectrum of the Jacobian on plain
    and on augmented images, and compares both in bins of equal count. Writes summary.json,
    spectrum.npz, figures (PNG, PDF) and report.html.
    """

    classes: tuple[str, ...] = ()
    """Classes by name or number, in the order of the network's outputs; default: the first three,
    the checkpoint's, or with --weights all."""
    n: int | None = None
    """Images drawn uniformly from the chosen classes; default: 300, or all if there are fewer."""
    per_class: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Draw n images of each class instead of n in all."""
    checkpoint: tuple[str, ...] = ()
    """Folders of training runs to take the networks from, instead of pretraining."""
    epochs: tuple[int, ...] = ()  # type: ignore[assignment]  # here several may be compared
    """Epochs of pretraining, by default 15; or which checkpoints of --checkpoint, by default the
    last. Several are compared: each run is followed over these epochs."""
    networks: int = 1
    """Networks to pretrain, from seeds seed, seed + 1, ..."""
    pretrain_on: str = "classes"
    """Pretrain on all training images of the chosen classes, or on the n of the study: study."""
    augment: tuple[str, ...] = ("identity", "rotation:30", "flip-crop", "noise:0.5", "noise:2")
    """Augmentations to study: names, name:strength, or module:function for your own; each may be
    several joined by "+", applied in order."""
    draws: int = 1
    """Augmented versions of all images per augmentation."""
    rows: str = "logits"
    """Rows: logits, probabilities; or one per image: true-logit, cross-entropy, squared."""
    bins: int | None = None
    """Bins of equal count; default: 30, or one for each singular value if there are fewer."""
    backend: str = "kernel"
    """How spectra are computed: kernel, svd (direct; small problems), or neural_tangents."""
    implementation: str = DEFAULT_IMPLEMENTATION
    """For neural_tangents: structured-derivatives, jacobian-contraction, ntk-vector-products, or
    auto (tries all)."""
    compare_kernels: int = 0
    """Compute the kernels of this many images by neural_tangents too, and report how far apart."""
    dtype: str = "float32"
    """Precision of the network and of the Jacobian rows: float32 or float64."""
    memory_gib: float = 2.0
    """Budget of Jacobian rows held at once, in GiB."""
    keep_blocks: str | None = None
    """Folder where finished blocks of kernels are kept: a stopped study goes on from them."""
    out: str = "runs/spectrum"
    """Folder to write."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace an earlier study in that folder."""
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Redraw figures, report and table from this folder's files, without any computation."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say how many rows and parameters, how much memory and time it takes, and stop."""


def check_options(options: SpectrumOptions) -> None:
    """Checks the options that need no data, before any long work."""
    check_at_least(options.networks, 1, "--networks")
    check_at_least(options.draws, 1, "--draws")
    check_memory(options.memory_gib)
    if options.bins is not None:
        check_at_least(options.bins, 1, "--bins")
    check_choice(options.rows, jacobian.ROWS, "kind of rows")
    check_choice(options.backend, spectrum.BACKENDS, "backend")
    check_dtype(options.dtype)
    check_choice(options.pretrain_on, ("classes", "study"), "set to pretrain on")
    check_choice(options.implementation, NEURAL_TANGENTS_IMPLEMENTATIONS, "implementation")
    if options.backend == "svd" and options.dtype != "float64":
        raise InputError("--backend svd needs --dtype float64")
    if options.keep_blocks:
        if options.backend != "kernel":
            raise InputError(f"--keep-blocks is for --backend kernel, not {options.backend}")
        check_writable_folder(options.keep_blocks)
    check_augmentations_once(options.augment)
    check_network_options(options, bool(options.checkpoint))
    if len(options.epochs) > 1 and not options.checkpoint:
        raise InputError(
            f"--epochs is {options.epochs}: several are followed in runs of --checkpoint, which "
            "`python -m experiments run --keep-epochs` trains"
        )
    folders = {Path(folder).resolve() for folder in options.checkpoint}
    if len(folders) < len(options.checkpoint):
        raise InputError(f"--checkpoint is {options.checkpoint}, expected no folder twice")
    if len(set(options.epochs)) < len(options.epochs):
        raise InputError(f"--epochs is {options.epochs}, expected none twice")


def memory_bytes(options: SpectrumOptions) -> int:
    """The budget of Jacobian rows."""
    return int(options.memory_gib * 2**30)
