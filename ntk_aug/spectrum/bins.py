"""Bins of consecutive ranks, and the flags that say where a bin's numbers mean little."""

import numpy as np

from ntk_aug.aliases import Bool, Float64
from ntk_aug.checks import check_at_least

DEFAULT_BINS = 30


def equal_count_bins(num_values: int, num_bins: int = DEFAULT_BINS) -> tuple[slice, ...]:
    """Splits ranks 0 .. N-1 into min(num_bins, N) consecutive bins whose sizes differ by at most 1.

    The first N mod B bins, of the largest singular values, get the extra rank. No rank is dropped.
    """
    check_at_least(num_values, 1, "the number of singular values")
    check_at_least(num_bins, 1, "the number of bins")
    num_bins = min(num_bins, num_values)
    small, extra = divmod(num_values, num_bins)
    sizes = [small + 1] * extra + [small] * (num_bins - extra)
    stops = np.cumsum(sizes)
    return tuple(
        slice(int(stop - size), int(stop)) for stop, size in zip(stops, sizes, strict=True)
    )


def bin_means(
    values: Float64[np.ndarray, "... N"], bins: tuple[slice, ...]
) -> Float64[np.ndarray, "... B"]:
    """The mean of the values of each bin."""
    return np.stack([values[..., members].mean(axis=-1) for members in bins], axis=-1)


def boundary_gaps(
    values: Float64[np.ndarray, " N"], bins: tuple[slice, ...]
) -> Float64[np.ndarray, " B_minus_1"]:
    """Smallest value of each bin minus the largest of the next: what keeps their subspaces apart.

    A subspace turns by about ||E|| / gap at most; where a gap is much smaller than ||E||, the two
    bins beside it trade directions, and their angles say nothing about the rest of the bin.
    """
    stops = np.array([members.stop for members in bins[:-1]], int)
    return values[stops - 1] - values[stops]


def null_bins(
    values: Float64[np.ndarray, " N"], bins: tuple[slice, ...], tolerance: float
) -> Bool[np.ndarray, " B"]:
    """Bins with a value at or below the tolerance: its singular vectors are arbitrary."""
    return np.array([values[members].min() <= tolerance for members in bins])


def tied_bins(gaps: Float64[np.ndarray, " B_minus_1"], tolerance: float) -> Bool[np.ndarray, " B"]:
    """Bins with a boundary gap at or below the tolerance: their subspace is not defined."""
    tied = gaps <= tolerance
    return np.concatenate([tied, [False]]) | np.concatenate([[False], tied])
