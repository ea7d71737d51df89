"""Checking statements at many instances: how often each form holds, and how tight it is."""

import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.checks import check_choice, check_count
from ntk_aug.randomness import as_key, generator
from ntk_aug.theory.sides import Bound, Sides
from ntk_aug.theory.statements import STATEMENTS

DEFAULT_INSTANCES = 300


@dataclass(frozen=True)
class Tally:
    """How often a form holds, and its ratios of left and right side (see `Bound.ratios`).

    Attributes:
      held: instances at which it holds.
      instances: how many were checked, random and constructed.
      median: the median of the ratios at random instances.
      worst: the largest ratio at random instances.
      worst_constructed: the largest ratio at constructed instances; NaN if there is none.
    """

    held: int
    instances: int
    median: float
    worst: float
    worst_constructed: float


@dataclass(frozen=True)
class Constructed:
    """One instance that was made for a purpose.

    Attributes:
      name: of the function that makes it.
      description: what it is.
      source: of the function, after those of the functions that make its arguments.
      sides: both sides there.
    """

    name: str
    description: str
    source: str
    sides: Sides


@dataclass(frozen=True)
class StatementReport:
    """What was found about one statement.

    Attributes:
      number: a key of `STATEMENTS`.
      printed: how often the printed form holds; None where there is none.
      corrected: how often all corrected bounds hold together, with the ratios of the main one.
      bounds: the tally of each corrected bound by its name.
      counterexamples: instances that violate the printed form.
      attained: instances at which a corrected bound is nearly an equality.
      dropped: from the name of an assumption to an instance that lacks it.
    """

    number: str
    printed: Tally | None
    corrected: Tally
    bounds: Mapping[str, Tally]
    counterexamples: Sequence[Constructed]
    attained: Sequence[Constructed]
    dropped: Mapping[str, Constructed]

    @property
    def tightest(self) -> float:
        """The largest ratio of the main corrected bound at any instance; 1 is an equality."""
        return float(np.nanmax([self.corrected.worst, self.corrected.worst_constructed]))


def random_instances(key: KeyLike, number: str, count: int) -> list[Sides]:
    """Both sides of a statement at random instances.

    Instance i depends on the key, the statement and i, and not on how many are drawn.

    Args:
      key: of the draws.
      number: a key of `STATEMENTS`.
      count: how many.

    Raises:
      InputError: an unknown statement, a count below 1.
    """
    check_choice(number, STATEMENTS, "statement")
    count = check_count(count, 10**7, "instances")
    own = jax.random.fold_in(as_key(key), zlib.crc32(number.encode()) & 0x7FFFFFFF)
    return [STATEMENTS[number].random(rng) for rng in generator(own).spawn(count)]


def check_statement(
    key: KeyLike, number: str, *, instances: int = DEFAULT_INSTANCES
) -> StatementReport:
    """Checks one statement at random instances and at its constructed ones.

    Args:
      key: of the random instances.
      number: a key of `STATEMENTS`.
      instances: how many random ones.

    Raises:
      InputError: an unknown statement, instances below 1.
    """
    drawn = random_instances(key, number, instances)
    statement = STATEMENTS[number]
    counterexamples = [_constructed(make) for make in statement.counterexamples]
    attained = [_constructed(make) for make in statement.attained]
    made = list({one.name: one.sides for one in (*counterexamples, *attained)}.values())
    printed = [[_printed(sides) for sides in some] for some in (drawn, made)]
    main = [
        [(sides.corrected_holds, sides.corrected_bound.ratio) for sides in some]
        for some in (drawn, made)
    ]
    names = dict.fromkeys(name for sides in (*drawn, *made) for name in sides.corrected_bounds)
    return StatementReport(
        number,
        _tally(*printed) if statement.printed else None,
        _tally(*main),
        {name: _tally(*(_named(some, name) for some in (drawn, made))) for name in names},
        counterexamples,
        attained,
        {name: _constructed(make) for name, make in statement.dropped.items()},
    )


def _constructed(make: Callable[[], Sides]) -> Constructed:
    source = "\n\n".join(map(inspect.getsource, _with_helpers(make)))
    return Constructed(make.__name__, inspect.getdoc(make) or "", source, make())


def _with_helpers(function: Callable) -> list[Callable]:
    """The functions of the same package that a function calls, and itself at the end."""
    plain = inspect.unwrap(function)
    package = plain.__module__.rpartition(".")[0]
    found: list[Callable] = []
    for name in plain.__code__.co_names:
        called = plain.__globals__.get(name)
        if inspect.isfunction(called) and called.__module__.startswith(f"{package}."):
            found += [one for one in _with_helpers(called) if one not in found]
    return [*found, function]


def _printed(sides):
    """Whether all printed inequalities hold, and their largest ratio; None if there is none."""
    bound = sides.printed_bound
    if bound is None:
        return None
    ratios = [b.ratio for b in (bound, *sides.further_printed.values())]
    return sides.printed_holds, max(ratios)


def _named(some: Sequence[Sides], name: str) -> list[tuple[bool, float]]:
    found: list[Bound] = [
        sides.corrected_bounds[name] for sides in some if name in sides.corrected_bounds
    ]
    return [(bound.holds, bound.ratio) for bound in found]


def _tally(drawn, made):
    """Of pairs (holds, ratio) at random and at constructed instances."""
    drawn, made = ([pair for pair in some if pair is not None] for some in (drawn, made))
    ratios = [ratio for _, ratio in drawn] or [np.nan]
    return Tally(
        sum(holds for holds, _ in (*drawn, *made)),
        len(drawn) + len(made),
        float(np.median(ratios)),
        float(np.max(ratios)),
        float(max((ratio for _, ratio in made), default=np.nan)),
    )
