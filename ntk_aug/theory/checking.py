"""Checks statements at many instances: how often each form holds, and how tight it is."""

import functools
import inspect
import textwrap
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from ntk_aug.aliases import KeyLike
from ntk_aug.checks import check_choice, check_count
from ntk_aug.randomness import as_key, generator
from ntk_aug.theory.sides import Sides
from ntk_aug.theory.statements import STATEMENTS

DEFAULT_INSTANCES = 300


@dataclass(frozen=True)
class Tally:
    """How often a form holds, and its ratios of left to right side (see `Bound.ratios`).

    Attributes:
      held: number of instances at which it holds.
      instances: number of instances checked, random and constructed.
      median: median ratio at random instances.
      worst: largest ratio at random instances.
      worst_constructed: largest ratio at constructed instances; NaN if there are none.
    """

    held: int
    instances: int
    median: float
    worst: float
    worst_constructed: float


@dataclass(frozen=True)
class Constructed:
    """An instance constructed for a purpose.

    Attributes:
      name: name of the function that builds it.
      description: docstring of that function.
      source: source of that function and of its helpers.
      sides: both sides at the instance.
    """

    name: str
    description: str
    source: str
    sides: Sides


@dataclass(frozen=True)
class StatementReport:
    """Result of checking one statement.

    Attributes:
      number: a key of `STATEMENTS`.
      printed: tally of the printed form; None if there is none.
      corrected: tally of all corrected bounds together, with the ratios of the main one.
      bounds: tally of each corrected bound, by name.
      counterexamples: instances that violate the printed form.
      attained: instances at which a corrected bound is nearly an equality.
      dropped: for each assumption, an instance that lacks it.
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
    """Evaluates both sides of a statement at random instances.

    Instance i depends on the key, the statement and i, but not on the count.

    Args:
      key: random key.
      number: a key of `STATEMENTS`.
      count: number of instances.

    Raises:
      InputError: the statement is unknown, or the count is below 1.
    """
    check_choice(number, STATEMENTS, "statement")
    count = check_count(count, 10**7, "instances")
    own = jax.random.fold_in(as_key(key), zlib.crc32(number.encode()) & 0x7FFFFFFF)
    return [STATEMENTS[number].random(rng) for rng in generator(own).spawn(count)]


def check_statement(
    key: KeyLike, number: str, *, instances: int = DEFAULT_INSTANCES
) -> StatementReport:
    """Checks one statement at random and at constructed instances.

    Args:
      key: random key.
      number: a key of `STATEMENTS`.
      instances: number of random instances.

    Raises:
      InputError: the statement is unknown, or there are no instances.
    """
    drawn = random_instances(key, number, instances)
    statement = STATEMENTS[number]
    counterexamples = [_constructed(make) for make in statement.counterexamples]
    attained = [_constructed(make) for make in statement.attained]
    made = list({one.name: one.sides for one in (*counterexamples, *attained)}.values())

    def tally(judge):
        return _tally(*(list(map(judge, some)) for some in (drawn, made)))

    names = dict.fromkeys(name for sides in (*drawn, *made) for name in sides.corrected_bounds)
    return StatementReport(
        number,
        tally(_printed) if statement.printed else None,
        tally(lambda sides: (sides.corrected_holds, sides.corrected_bound.ratio)),
        {name: tally(functools.partial(_named, name=name)) for name in names},
        counterexamples,
        attained,
        {name: _constructed(make) for name, make in statement.dropped.items()},
    )


def _constructed(make: Callable[[], Sides]) -> Constructed:
    sources = (textwrap.dedent(inspect.getsource(one)) for one in _with_helpers(make))
    return Constructed(make.__name__, inspect.getdoc(make) or "", "\n\n".join(sources), make())


def _with_helpers(function: Callable) -> list[Callable]:
    """The functions of the same package that a function calls, then the function itself."""
    variables = inspect.getclosurevars(inspect.unwrap(function))
    package = function.__module__.rpartition(".")[0]
    found: list[Callable] = []
    for called in {**variables.globals, **variables.nonlocals}.values():
        if inspect.isfunction(called) and called.__module__.startswith(f"{package}."):
            found += [one for one in _with_helpers(called) if one not in found]
    return [*found, function]


def _printed(sides):
    """Whether all printed inequalities hold, and their largest ratio; None if there are none."""
    bound = sides.printed_bound
    if bound is None:
        return None
    return sides.printed_holds, max(b.ratio for b in (bound, *sides.further_printed.values()))


def _named(sides, name):
    bound = sides.corrected_bounds.get(name)
    return bound and (bound.holds, bound.ratio)


def _tally(drawn, made):
    """Tallies (holds, ratio) at random and at constructed instances; None is left out."""
    drawn, made = ([pair for pair in some if pair is not None] for some in (drawn, made))
    ratios = [ratio for _, ratio in drawn] or [np.nan]
    return Tally(
        sum(holds for holds, _ in (*drawn, *made)),
        len(drawn) + len(made),
        float(np.median(ratios)),
        float(np.max(ratios)),
        float(max((ratio for _, ratio in made), default=np.nan)),
    )
