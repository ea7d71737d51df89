"""Bins of consecutive ranks, and the comparison of two spectra by bins (supplement C.1)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Bool, Float64
from ntk_aug.checks import check_at_least
from ntk_aug.spectrum.decomposition import SpectrumPair
from ntk_aug.threads import lapack_threads

DEFAULT_BINS = 30


def equal_count_bins(num_values: int, num_bins: int = DEFAULT_BINS) -> tuple[slice, ...]:
    """Splits ranks 0 .. N-1 into min(num_bins, N) consecutive bins whose sizes differ by at most 1.

    The first N mod B bins, of the largest singular values, get the extra rank.
    """
    check_at_least(num_values, 1, "the number of singular values")
    check_at_least(num_bins, 1, "the number of bins")
    num_bins = min(num_bins, num_values)
    small, extra = divmod(num_values, num_bins)
    return slices_of([small + 1] * extra + [small] * (num_bins - extra))


def slices_of(sizes: Sequence[int] | np.ndarray) -> tuple[slice, ...]:
    """Consecutive slices of these sizes."""
    return tuple(slice(*span) for span in pairwise([0, *np.cumsum(sizes).tolist()]))


def bin_means(
    values: Float64[np.ndarray, "... N"], bins: tuple[slice, ...]
) -> Float64[np.ndarray, "... B"]:
    """The mean of the values of each bin."""
    return np.stack([values[..., members].mean(axis=-1) for members in bins], axis=-1)


def boundary_gaps(
    values: Float64[np.ndarray, " N"], bins: tuple[slice, ...]
) -> Float64[np.ndarray, " B_minus_1"]:
    """Smallest value of each bin minus the largest of the next.

    A subspace turns by at most about ||E|| / gap. If a gap is much smaller than ||E||, the two bins
    beside it trade directions, and their angles say nothing about the rest of the bin.
    """
    stops = np.array([members.stop for members in bins[:-1]], int)
    return values[stops - 1] - values[stops]


def null_bins(
    values: Float64[np.ndarray, " N"], bins: tuple[slice, ...], tolerance: float
) -> Bool[np.ndarray, " B"]:
    """Bins with a value at or below the tolerance: its singular vectors are arbitrary."""
    return np.array([values[members].min() <= tolerance for members in bins])


def tied_bins(gaps: Float64[np.ndarray, " B_minus_1"], tolerance: float) -> Bool[np.ndarray, " B"]:
    """Bins with a boundary gap at or below the tolerance: their subspace is undefined."""
    tied = gaps <= tolerance
    return np.concatenate([tied, [False]]) | np.concatenate([[False], tied])


class BinComparison(NamedTuple):
    """The effect of an augmentation on each bin of ranks.

    Attributes:
      augmented_values: sigma~_i, descending.
      difference: mean over the bin of sigma~_i - sigma_i, paired by rank; signed.
      relative_difference: the difference divided by the bin's mean sigma; NaN in null bins.
      share_decreased: share of the bin's ranks with sigma~_i < sigma_i; NaN in null bins.
      left_angle: mean principal angle, in degrees, between the bin's left singular subspaces (in
        output space, R^N); NaN in null bins.
      right_angle: the same for right singular subspaces (in weight space, R^P).
      boundary_gap: between each bin and the next, the smaller one of the two spectra.
      null: bins in which a value of either spectrum is null, so that its vectors are arbitrary.
      tie: bins whose subspace is undefined, because a boundary gap is zero up to rounding.
      perturbation_norm: ||J~ - J||, spectral; by Weyl no singular value moves further.
    """

    augmented_values: Float64[np.ndarray, " r"]
    difference: Float64[np.ndarray, " B"]
    relative_difference: Float64[np.ndarray, " B"]
    share_decreased: Float64[np.ndarray, " B"]
    left_angle: Float64[np.ndarray, " B"]
    right_angle: Float64[np.ndarray, " B"]
    boundary_gap: Float64[np.ndarray, " B_minus_1"]
    null: Bool[np.ndarray, " B"]
    tie: Bool[np.ndarray, " B"]
    perturbation_norm: float


def compare_bins(pair: SpectrumPair, bins: tuple[slice, ...], tolerance: float) -> BinComparison:
    """Compares the two spectra of a pair; values at or below the tolerance are null."""
    plain, augmented = pair.plain.values, pair.augmented.values
    null = null_bins(plain, bins, tolerance) | null_bins(augmented, bins, tolerance)
    gaps = np.minimum(boundary_gaps(plain, bins), boundary_gaps(augmented, bins))
    difference = bin_means(augmented - plain, bins)
    relative = np.full(len(bins), np.nan)
    np.divide(difference, bin_means(plain, bins), out=relative, where=~null)
    decreased = bin_means((augmented < plain).astype(np.float64), bins)

    def mean_angle(angles_of):
        with lapack_threads(max(members.stop - members.start for members in bins)):
            pairs = zip(bins, null, strict=True)
            return np.array([np.nan if skip else angles_of(own).mean() for own, skip in pairs])

    return BinComparison(
        augmented_values=augmented,
        difference=difference,
        relative_difference=relative,
        share_decreased=np.where(null, np.nan, decreased),
        left_angle=mean_angle(pair.left_angles),
        right_angle=mean_angle(pair.right_angles),
        boundary_gap=gaps,
        null=null,
        tie=tied_bins(gaps, tolerance),
        perturbation_norm=pair.perturbation_norm,
    )
