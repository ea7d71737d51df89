"""Results on a statement in the form of theory.json."""

import inspect
from dataclasses import asdict
from typing import Any

import numpy as np

from ntk_aug import theory

LONGEST_SIDE = 64
"""Numbers of a side that are kept; of longer ones, as many at equal distances."""


def number(value: float) -> float | str | None:
    """A number for JSON: "inf" for infinity, None for NaN (unknown)."""
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else str(float(value))


def statement_record(report: theory.StatementReport) -> dict[str, Any]:
    """One statement: its status, how often each form holds, and its constructed instances."""
    statement = theory.STATEMENTS[report.number]
    return {
        "title": statement.title,
        "function": f"theory.{statement.function.__name__}",
        "explanation": inspect.getdoc(statement.function),
        "status": statement.status,
        "reason": statement.reason,
        "printed": statement.printed,
        "corrected": statement.corrected,
        "printed_form": None if report.printed is None else tally_record(report.printed),
        "corrected_form": tally_record(report.corrected),
        "tightest": number(report.tightest),
        "bounds": {name: tally_record(tally) for name, tally in report.bounds.items()},
        "counterexamples": [constructed_record(one) for one in report.counterexamples],
        "attained": [constructed_record(one) for one in report.attained],
        "dropped": {name: constructed_record(one) for name, one in report.dropped.items()},
    }


def tally_record(tally: theory.Tally) -> dict[str, Any]:
    """How often a form holds, and its ratios."""
    ratios = {
        name: number(getattr(tally, name)) for name in ("median", "worst", "worst_constructed")
    }
    return {"held": tally.held, "instances": tally.instances, **ratios}


def constructed_record(one: theory.Constructed) -> dict[str, Any]:
    """One constructed instance: its source, and both sides there."""
    return {
        "name": one.name,
        "description": one.description,
        "source": one.source,
        "sides": sides_record(one.sides),
    }


def sides_record(sides: theory.Sides) -> dict[str, Any]:
    """Both sides, whether they hold, assumptions and constants."""
    printed = sides.printed_bound
    return {
        "printed": None if printed is None else bound_record(printed),
        "further_printed": {
            name: bound_record(bound) for name, bound in sides.further_printed.items()
        },
        "corrected": {name: bound_record(b) for name, b in sides.corrected_bounds.items()},
        "assumptions": [
            asdict(one) | {"value": number(one.value), "limit": number(one.limit)}
            for one in sides.assumptions
        ],
        "constants": {name: number(value) for name, value in sides.constants.items()},
    }


def bound_record(bound: theory.Bound) -> dict[str, Any]:
    """A bound with both sides as numbers, or as lists of them."""
    return {
        "lhs": _shortened(bound.lhs),
        "relation": bound.relation,
        "rhs": _shortened(bound.rhs),
        "holds": bound.holds,
        "ratio": number(bound.ratio),
    }


def _shortened(side):
    values = np.asarray(side, np.float64).ravel()
    if np.ndim(side) == 0:
        return number(values[0])
    if len(values) > LONGEST_SIDE:
        values = values[np.linspace(0, len(values) - 1, LONGEST_SIDE).round().astype(int)]
    return [number(value) for value in values]


def ratios_record(sides: theory.Sides) -> dict[str, Any]:
    """Ratios of left and right side at one instance, by bound."""
    printed = sides.printed_bound
    return {
        "printed": None
        if printed is None
        else {"holds": bool(sides.printed_holds), "ratio": number(printed.ratio)},
        "corrected": {
            name: {
                "holds": bound.holds,
                "ratio": number(bound.ratio),
                "median": number(np.median(bound.ratios)),
            }
            for name, bound in sides.corrected_bounds.items()
        },
        "constants": {name: number(value) for name, value in sides.constants.items()},
    }
