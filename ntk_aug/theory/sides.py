"""Both sides of an inequality as numbers, and checks of the assumptions behind it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from ntk_aug.aliases import Array, Bool, Float
from ntk_aug.checks import check_choice
from ntk_aug.errors import InputError
from ntk_aug.theory.arrays import number_in

Side = float | np.floating | Float[Array, "..."]


class AssumptionError(InputError):
    """An assumption of the statement fails, so its bound would be meaningless.

    Attributes:
      name: name of the assumption; `drop=(name,)` computes the bound anyway.
    """

    def __init__(self, name: str, message: str):
        """Takes the assumption's name beside the message."""
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Assumption:
    """One assumption, checked at an instance.

    Attributes:
      name: name for `drop`.
      text: the assumption in words.
      value: the value at this instance.
      relation: "<=", ">=" or "==", between value and limit.
      limit: the bound on the value.
      holds: whether the relation holds, up to rounding.
      silent: whether only the printed form needs it; a silent assumption may fail.
    """

    name: str
    text: str
    value: float
    relation: str
    limit: float
    holds: bool
    silent: bool


@dataclass(frozen=True)
class Bound:
    """An inequality between two sides, each a number or one number per place (rank or time).

    Attributes:
      lhs: the left side.
      rhs: the right side.
      relation: "<=", ">=" or "==".
      tolerance: allowed rounding error, relative to the larger of |rhs| and `scale`.
      scale: size of the terms whose difference the left side is: a difference can be small while
        its rounding error is not.
    """

    lhs: Side
    rhs: Side
    relation: str = "<="
    tolerance: float = 1e-10
    scale: float = 0.0

    @property
    def ratios(self) -> Float[np.ndarray, "..."]:
        """The quotient lhs / rhs at each place, or rhs / lhs for ">="; at most 1 where it holds.

        For "==" it is the larger of both quotients, at least 1. Where the side that should be
        smaller is 0 up to rounding, the ratio is 0.
        """
        lhs, rhs = np.broadcast_arrays(
            np.asarray(self.lhs, np.float64), np.asarray(self.rhs, np.float64)
        )
        small, large = (rhs, lhs) if self.relation == ">=" else (lhs, rhs)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(small <= self.tolerance * self.scale, 0.0, small / large)
            if self.relation == "==":
                ratios = np.where(small == large, 1.0, np.maximum(ratios, large / small))
        return ratios

    @property
    def ratio(self) -> float:
        """The largest of the ratios."""
        return float(self.ratios.max())

    @property
    def holds_at(self) -> Bool[np.ndarray, "..."]:
        """Where the bound holds, up to rounding."""
        lhs, rhs = np.asarray(self.lhs, np.float64), np.asarray(self.rhs, np.float64)
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            size = np.where(np.isinf(rhs), 0.0, np.abs(rhs))
            slack = self.tolerance * np.maximum(size, self.scale)
            excess = lhs - rhs if self.relation != ">=" else rhs - lhs
            if self.relation == "==":
                excess = np.abs(excess)
        return np.asarray((excess <= slack) | (lhs == rhs))

    @property
    def holds(self) -> bool:
        """Whether the bound holds everywhere, up to rounding."""
        return bool(np.all(self.holds_at))


@dataclass(frozen=True)
class Sides:
    """Both sides of one statement at one instance.

    Attributes:
      statement: the statement's number, a key of `STATEMENTS`.
      lhs: the left side; an array [T] over times or [N] over ranks where the statement has them.
      printed: the right side as printed; None if the paper has no such statement.
      corrected: the right side that can be proved.
      relation: "<=", ">=" or "==", between the left side and either right side.
      printed_lhs: the left side of the printed form, if it differs. Where `lhs` is an upper bound
        of the printed quantity, this is a lower bound, so a violation is never reported wrongly.
      printed_relation: the relation of the printed form, if it differs.
      further: further corrected bounds, by the names in the statement's docstring.
      further_printed: further printed inequalities.
      assumptions: the assumptions, each with its value.
      constants: the numbers in the right sides, by symbol.
      tolerance: see `Bound`.
      scale: see `Bound`.
    """

    statement: str
    lhs: Side
    printed: Side | None
    corrected: Side
    relation: str = "<="
    printed_lhs: Side | None = None
    printed_relation: str | None = None
    further: Mapping[str, Bound] = field(default_factory=dict)
    further_printed: Mapping[str, Bound] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 1e-10
    scale: float = 0.0

    @property
    def printed_bound(self) -> Bound | None:
        """The printed form as a `Bound`."""
        if self.printed is None:
            return None
        lhs = self.lhs if self.printed_lhs is None else self.printed_lhs
        relation = self.printed_relation or self.relation
        return Bound(lhs, self.printed, relation, self.tolerance, self.scale)

    @property
    def corrected_bound(self) -> Bound:
        """The corrected form as a `Bound`."""
        return Bound(self.lhs, self.corrected, self.relation, self.tolerance, self.scale)

    @property
    def corrected_bounds(self) -> dict[str, Bound]:
        """All corrected bounds by name; the main one is called "corrected"."""
        return {"corrected": self.corrected_bound, **self.further}

    @property
    def printed_holds(self) -> bool | None:
        """Whether all printed inequalities hold; None if there are none."""
        if self.printed_bound is None:
            return None
        return all(b.holds for b in (self.printed_bound, *self.further_printed.values()))

    @property
    def corrected_holds(self) -> bool:
        """Whether all corrected bounds hold."""
        return all(bound.holds for bound in self.corrected_bounds.values())


class Assumptions:
    """Checks and records the assumptions of one statement.

    Those named in `drop` are recorded without being enforced, which shows what they are for.
    """

    def __init__(self, drop: Collection[str] = ()):
        self._drop = (drop,) if isinstance(drop, str) else tuple(drop)
        self._checked: list[Assumption] = []

    def check(
        self,
        name: str,
        text: str,
        value: float,
        relation: str,
        limit: float,
        *,
        silent: bool = False,
        tolerance: float = 1e-9,
    ) -> None:
        """Records an `Assumption`; raises AssumptionError if it fails and is not dropped or silent.

        The tolerance is relative to the limit, or absolute if the limit is 0 or infinite.
        """
        value, limit = float(value), float(limit)
        slack = tolerance * (abs(limit) if limit and np.isfinite(limit) else 1.0)
        excess = limit - value if relation == ">=" else value - limit
        holds = value == limit or (abs(excess) if relation == "==" else excess) <= slack
        self._checked.append(Assumption(name, text, value, relation, limit, holds, silent))
        if not (holds or silent or name in self._drop):
            raise AssumptionError(
                name,
                f"the assumption {name!r} fails ({text}): it is {value:.6g}, expected "
                f"{relation} {limit:.6g}",
            )

    def stated(
        self, name: str, text: str, given: float | None, exact: float, *, slack: float = 0.0
    ) -> float:
        """Returns the stated upper bound of an exact value, or that value if none is given.

        A stated bound is recorded as an assumption; it may be below the value by the slack.
        """
        if given is None:
            return exact
        given = number_in(given, name, 0)
        self.check(name, text, given, ">=", exact - slack)
        return given

    def finish(self) -> tuple[Assumption, ...]:
        """Returns the checked assumptions; raises InputError if `drop` names an unknown one."""
        enforced = [one.name for one in self._checked if not one.silent]
        for name in self._drop:
            check_choice(name, enforced, "assumption to drop")
        return tuple(self._checked)
