"""The options of `python -m analysis select`, and what can be checked of them without data."""

import inspect
from dataclasses import dataclass, fields
from typing import Annotated

import tyro

from analysis.common.options import NetworkOptions, check_memory, check_network_options
from ntk_aug import coreset, losses, training
from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.coreset.budgets import ALLOCATIONS
from ntk_aug.coreset.selectors import DEFAULT_SELECTOR, find_selector
from ntk_aug.errors import InputError
from ntk_aug.options import config_options

DEFAULT_FRACTION = 0.1


_SelectionOptions = config_options(
    training.MethodConfig,
    "Selection.",
    (
        *("selector", "fraction", "count", "allocation", "per_class"),
        *("tolerance", "proxy", "dimension"),
    ),
    selector=DEFAULT_SELECTOR,
)


@dataclass(frozen=True)
class SelectOptions(_SelectionOptions, NetworkOptions):  # type: ignore[valid-type]
    """Which examples stand for all, and how well: a weighted subset of the training images.

    Pretrains a network (or takes a checkpoint), computes what stands for each image's gradient, and
    selects. Writes selection.npz (indices, weights, gains, labels; indices are places in the
    training split), classes.csv, summary.json, and figures (PNG, PDF): the gradient error at
    several sizes beside that of random subsets, and images with the largest and smallest weights
    and the largest losses.
    """

    classes: tuple[str, ...] = ()
    """Classes by name or number; default: all, or the checkpoint's."""
    checkpoint: str | None = None
    """Folder of a training run to take the network from, instead of pretraining."""
    loss: str = "cross-entropy"
    """Whose gradients they are: cross-entropy or squared."""
    algorithm: str | None = None
    """Of the coreset: incremental, lazy, stochastic or two-stage; see --list."""
    epsilon: float | None = None
    """Of the algorithm stochastic: what it may lose of greedy's bound."""
    memory_gib: float = 2.0
    """Budget of distances and of gradients held at once, in GiB."""
    sizes: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
    """Sizes at which the gradient error is compared with that of random subsets, as shares."""
    random_subsets: int = 100
    """How many random subsets to compare with."""
    out: str = "runs/select"
    """Folder to write."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace an earlier selection in that folder."""
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Draw figures and print the table from this folder's files, without any computation."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say how many are selected of each class, and how much memory it takes, and stop."""
    list: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """List selectors, proxies and algorithms, and stop."""


def check_options(options: SelectOptions) -> None:
    """Checks the options that need no data, before any long work."""
    check_network_options(options, options.checkpoint is not None, networks=1)
    entry = find_selector(options.selector)
    check_choice(options.proxy, coreset.PROXIES, "proxy")
    check_choice(options.loss, losses.LOSSES, "loss")
    check_choice(options.allocation, ALLOCATIONS, "allocation of a budget")
    if options.algorithm is not None:
        check_choice(options.algorithm, coreset.ALGORITHMS, "algorithm of facility location")
    if options.fraction is not None and options.count is not None:
        raise InputError("--fraction and --count exclude each other")
    shares = [("--fraction", options.fraction), *(("--sizes", size) for size in options.sizes)]
    for name, share in shares:
        if share is not None and not 0 < share <= 1:
            raise InputError(f"{name} is {share}, expected above 0 and at most 1")
    if options.tolerance is not None:
        check_at_least(options.tolerance, 0, "--tolerance")
    for name in selector_options(options):
        if entry.options is not None and name not in entry.options:
            raise InputError(f"selector {options.selector!r} takes no option --{name}")
    try:  # a user's own may take other arguments
        inspect.signature(entry.select).bind("key", "examples", 1, **selector_options(options))
    except TypeError as error:
        raise InputError(
            f"selector {options.selector!r} is called with key, examples, count, options: {error}"
        ) from None
    if options.proxy == "network-projected":
        if options.dimension is None:
            raise InputError("--proxy network-projected needs --dimension, which is not given")
        check_at_least(options.dimension, 1, "--dimension")
    elif options.dimension is not None:
        raise InputError(f"--dimension is for proxy network-projected, not {options.proxy}")
    check_memory(options.memory_gib)
    check_at_least(options.random_subsets, 2, "--random-subsets")


def budget(options: SelectOptions) -> dict[str, float | int]:
    """The fraction or the count to select; empty if a tolerance alone decides."""
    if options.count is not None:
        return {"count": options.count}
    if options.fraction is None and options.tolerance is not None:
        return {}
    return {"fraction": DEFAULT_FRACTION if options.fraction is None else options.fraction}


def selector_options(options: SelectOptions) -> dict:
    """The given options of the selector."""
    names = ("tolerance", "algorithm", "epsilon")
    given = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: given[name] for name in names if given[name] is not None}


def per_class(options: SelectOptions) -> bool:
    """Whether each class has a budget of its own."""
    if options.per_class is not None:
        return options.per_class
    return find_selector(options.selector).per_class


def memory_bytes(options: SelectOptions) -> int:
    """The memory budget of distances, and of gradients."""
    return int(options.memory_gib * 2**30)
