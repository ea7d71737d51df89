"""Summary of a study: means and spreads per bin, and statistics for the paper's claims."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from ntk_aug.aliases import Float64
from ntk_aug.spectrum.result import SpectrumStudy

BIN_QUANTITIES = (
    "difference",
    "relative_difference",
    "share_decreased",
    "left_angle",
    "right_angle",
    "uncertain_share",
)
"""Fields of `BinComparison`, and `SpectrumStudy.uncertain_share`."""


class MeanAndSpread(NamedTuple):
    """Mean and standard deviation over networks and draws, per bin; NaN where all are flagged."""

    mean: Float64[np.ndarray, " B"]
    std: Float64[np.ndarray, " B"]


class AugmentationSummary(NamedTuple):
    """The effect of one augmentation.

    Attributes:
      name: of the augmentation.
      displacement: eps0, the largest over the draws.
      perturbation_norm: mean of ||J~ - J|| over networks and draws.
      perturbation_bound: mean of the certified bound; NaN if there is none.
      bins: mean and spread per bin of each of `BIN_QUANTITIES`.
      spearman: per network, rank correlation between bin number (0 holds the largest singular
        values) and relative difference averaged over draws; +1 if small singular values always grow
        relatively more. NaN if nothing changed.
      spearman_certain: per network, the same over bins without an uncertain value in any draw; NaN
        for fewer than three such bins.
      decreased_first_bin, decreased_other_bins: mean share of ranks whose singular value fell; NaN
        if all of their bins are null.
      first_bin_turns_least: per network, whether the first bin's left angle, averaged over draws,
        is the smallest.
      gaps_below_perturbation: share of bin boundaries with a gap below ||J~ - J||, where
        neighbouring bins may trade directions.
      uncertain: share of augmented values that are uncertain; NaN if the errors are unknown.
      null, tie: share of bins with each flag.
    """

    name: str
    displacement: float
    perturbation_norm: float
    perturbation_bound: float
    bins: dict[str, MeanAndSpread]
    spearman: tuple[float, ...]
    spearman_certain: tuple[float, ...]
    decreased_first_bin: float
    decreased_other_bins: float
    first_bin_turns_least: tuple[bool, ...]
    gaps_below_perturbation: float
    uncertain: float
    null: float
    tie: float


def summarize_study(study: SpectrumStudy) -> list[AugmentationSummary]:
    """Summarises each augmentation of a study, in its order."""
    return [_summarize(study, a, name) for a, name in enumerate(study.settings.augmentations)]


def _summarize(study: SpectrumStudy, a: int, name: str) -> AugmentationSummary:
    relative = _mean(study.relative_difference[:, a], axis=1)  # [W, B]: over the draws
    angle = _mean(study.left_angle[:, a], axis=1)
    decreased = study.share_decreased[:, a]
    gaps = study.boundary_gap[:, a]
    certain = (study.uncertain_share[:, a] == 0).all(axis=1)  # [W, B]; NaN is not 0
    known = np.isfinite(study.augmented_value_error[:, a])
    narrow = gaps < study.perturbation_norm[:, a, :, None]
    return AugmentationSummary(
        name=name,
        displacement=float(study.displacement[a].max()),
        perturbation_norm=float(study.perturbation_norm[:, a].mean()),
        perturbation_bound=float(study.perturbation_bound[:, a].mean()),
        bins={
            quantity: MeanAndSpread(
                _mean(getattr(study, quantity)[:, a], axis=(0, 1)),
                _std(getattr(study, quantity)[:, a]),
            )
            for quantity in BIN_QUANTITIES
        },
        spearman=tuple(_spearman(per_bin) for per_bin in relative),
        spearman_certain=tuple(
            _spearman(np.where(of_network, per_bin, np.nan))
            for of_network, per_bin in zip(certain, relative, strict=True)
        ),
        decreased_first_bin=float(_mean(decreased[..., 0], axis=None)),
        decreased_other_bins=float(_mean(decreased[..., 1:], axis=None)),
        first_bin_turns_least=tuple(
            bool(np.isfinite(row).any() and row[0] == np.nanmin(row)) for row in angle
        ),
        gaps_below_perturbation=float(narrow.mean()) if gaps.size else np.nan,
        uncertain=float(study.augmented_uncertain[:, a].mean()) if known.all() else np.nan,
        null=float(study.null[:, a].mean()),
        tie=float(study.tie[:, a].mean()),
    )


def _mean(values, axis):
    """Mean of the entries that are not NaN; NaN if all are."""
    counted = np.isfinite(values)
    count = counted.sum(axis=axis)
    total = np.where(counted, values, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _std(values):
    """Standard deviation over networks and draws (n - 1 in the denominator); NaN below two."""
    mean = _mean(values, axis=(0, 1))
    count = np.isfinite(values).sum(axis=(0, 1))
    squares = np.where(np.isfinite(values), (values - mean) ** 2, 0).sum(axis=(0, 1))
    variance = np.divide(squares, count - 1, out=np.full_like(mean, np.nan), where=count > 1)
    return np.sqrt(variance)


def _spearman(relative_difference):
    """Rank correlation with the bin number, over bins that are not null."""
    bins = np.flatnonzero(np.isfinite(relative_difference))
    values = relative_difference[bins]
    if len(bins) < 3 or np.ptp(values) == 0:
        return float("nan")
    return float(stats.spearmanr(bins, values).statistic)
