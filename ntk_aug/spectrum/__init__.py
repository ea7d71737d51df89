"""Singular values and subspaces of the Jacobian on plain and on augmented images."""

from ntk_aug.spectrum.accuracy import (
    UNCERTAIN_SHARE,
    RowsRounding,
    rows_rounding,
    uncertain_values,
    value_errors,
)
from ntk_aug.spectrum.alignment import LabelAlignment, kernel_alignment, label_alignment
from ntk_aug.spectrum.appended import appended_kernel, appended_spectrum
from ntk_aug.spectrum.augmented_versions import AugmentedVersions
from ntk_aug.spectrum.backends import BACKENDS
from ntk_aug.spectrum.baseline import random_subspace_angle
from ntk_aug.spectrum.bins import (
    DEFAULT_BINS,
    BinComparison,
    bin_means,
    boundary_gaps,
    compare_bins,
    equal_count_bins,
    null_bins,
    tied_bins,
)
from ntk_aug.spectrum.cost import StudyCost, estimate_cost
from ntk_aug.spectrum.decomposition import (
    Factors,
    SpectrumPair,
    factors_of_kernel,
    null_tolerance,
    pair_from_jacobians,
    pair_from_kernels,
)
from ntk_aug.spectrum.matrix_free.stochastic import (
    EntropyRank,
    Estimate,
    KernelMoments,
    estimate_entropy_rank,
    estimate_moments,
)
from ntk_aug.spectrum.matrix_free.triplets import (
    SingularTriplets,
    SmallestFactors,
    largest_singular_triplets,
    smallest_of_kernel,
    smallest_singular_triplets,
)
from ntk_aug.spectrum.result import SpectrumStudy, StudySettings
from ntk_aug.spectrum.study import study_spectrum
from ntk_aug.spectrum.subspaces import angles_from_overlaps, principal_angles
from ntk_aug.spectrum.summary import (
    BIN_QUANTITIES,
    AugmentationSummary,
    MeanAndSpread,
    summarize_study,
)

__all__ = [
    "BACKENDS",
    "BIN_QUANTITIES",
    "DEFAULT_BINS",
    "UNCERTAIN_SHARE",
    "AugmentationSummary",
    "AugmentedVersions",
    "BinComparison",
    "EntropyRank",
    "Estimate",
    "Factors",
    "KernelMoments",
    "LabelAlignment",
    "MeanAndSpread",
    "RowsRounding",
    "SingularTriplets",
    "SmallestFactors",
    "SpectrumPair",
    "SpectrumStudy",
    "StudyCost",
    "StudySettings",
    "angles_from_overlaps",
    "appended_kernel",
    "appended_spectrum",
    "bin_means",
    "boundary_gaps",
    "compare_bins",
    "equal_count_bins",
    "estimate_cost",
    "estimate_entropy_rank",
    "estimate_moments",
    "factors_of_kernel",
    "kernel_alignment",
    "label_alignment",
    "largest_singular_triplets",
    "null_bins",
    "null_tolerance",
    "pair_from_jacobians",
    "pair_from_kernels",
    "principal_angles",
    "random_subspace_angle",
    "rows_rounding",
    "smallest_of_kernel",
    "smallest_singular_triplets",
    "study_spectrum",
    "summarize_study",
    "tied_bins",
    "uncertain_values",
    "value_errors",
]
