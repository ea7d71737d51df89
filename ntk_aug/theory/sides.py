"""Both sides of a statement as numbers, and the assumptions that they rest on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from ntk_aug.aliases import Array, Bool, Float
from ntk_aug.checks import check_choice
from ntk_aug.errors import InputError

Side = float | np.floating | Float[Array, "..."]


class AssumptionError(InputError):
    """An assumption of the statement fails, so its bound would mean nothing.

    Attributes:
      name: of the assumption; `drop=(name,)` computes the bound all the same.
    """

    def __init__(self, name: str, message: str):
        """Keeps the name beside the message."""
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Assumption:
    """One assumption, checked at an instance.

    Attributes:
      name: how `drop` refers to it.
      text: what is assumed, in words.
      value: what was found.
      relation: between the value and the limit: "<=", ">=" or "==".
      limit: what is assumed of the value.
      holds: whether the value is so, up to rounding.
      silent: whether only the printed form needs it. Such an assumption may fail.
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
    """A left side, a right side, and how they compare.

    Attributes:
      lhs: the left side, one number or one for each place (a rank, a time).
      rhs: the right side, of the same shape or one number.
      relation: "<=", ">=" or "==".
      tolerance: relative rounding error that is granted.
      scale: size of the terms whose difference the left side is. The tolerance is granted of this
        too, because rounding does not shrink with a difference.
    """

    lhs: Side
    rhs: Side
    relation: str = "<="
    tolerance: float = 1e-10
    scale: float = 0.0

    @property
    def ratios(self) -> Float[np.ndarray, "..."]:
        """The quotient lhs / rhs at each place, or rhs / lhs for ">=": at most 1 where it holds.

        For "==" the larger one of both, at least 1. A side that is to be the smaller one and is
        within rounding of 0 has the ratio 0: there is nothing to bound.
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
      statement: its number, a key of `STATEMENTS`.
      lhs: the left side; an array [T] or [N] where the statement speaks of times or of ranks.
      printed: the right side as printed; None where the paper has no such statement.
      corrected: the right side as it can be proved.
      relation: between the left side and either right side.
      printed_lhs: the left side of the printed form, where it is another one. Where `lhs` bounds
        the printed quantity from above, this bounds it from below, so that the printed form never
        counts as violated by mistake.
      printed_relation: between the two sides of the printed form, where it is another one.
      further: other corrected bounds, by the letters or words that the statement's docstring
        gives them.
      further_printed: other printed inequalities.
      assumptions: each with its checked value.
      constants: numbers that the right sides are made of, by their letters.
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
        """All corrected bounds by name; the main one is "corrected"."""
        return {"corrected": self.corrected_bound, **self.further}

    @property
    def printed_holds(self) -> bool | None:
        """Whether all printed inequalities hold; None where there is none."""
        if self.printed_bound is None:
            return None
        return all(b.holds for b in (self.printed_bound, *self.further_printed.values()))

    @property
    def corrected_holds(self) -> bool:
        """Whether all corrected bounds hold."""
        return all(bound.holds for bound in self.corrected_bounds.values())


class Assumptions:
    """Checks the assumptions of one statement, one after another."""

    def __init__(self, drop: Collection[str] = ()):
        """Starts with none.

        Args:
          drop: names of assumptions that are recorded and not enforced. What a bound says without
            one of its assumptions shows what the assumption is for.
        """
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
        """Records an assumption, and raises unless it holds, is dropped, or is silent.

        Args:
          name: how `drop` refers to it.
          text: what is assumed, in words.
          value: what was found.
          relation: between value and limit.
          limit: of the value.
          silent: whether only the printed form needs it.
          tolerance: rounding error that is granted, relative to the limit; absolute for 0.

        Raises:
          AssumptionError: it does not hold.
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

    def finish(self) -> tuple[Assumption, ...]:
        """All that was checked.

        Raises:
          InputError: `drop` names an assumption that the statement does not have.
        """
        enforced = [one.name for one in self._checked if not one.silent]
        for name in self._drop:
            check_choice(name, enforced, "assumption to drop")
        return tuple(self._checked)
