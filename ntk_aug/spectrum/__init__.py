"""Singular values and subspaces of the Jacobian on plain and on augmented images."""

from ntk_aug.spectrum.alignment import kernel_alignment, label_alignment
from ntk_aug.spectrum.appended import appended_spectrum
from ntk_aug.spectrum.backends import BACKENDS
from ntk_aug.spectrum.baseline import random_subspace_angle
from ntk_aug.spectrum.cost import estimate_cost
from ntk_aug.spectrum.decomposition import factors_of_kernel
from ntk_aug.spectrum.matrix_free.stochastic import estimate_entropy_rank, estimate_moments
from ntk_aug.spectrum.matrix_free.triplets import (
    largest_singular_triplets,
    smallest_of_kernel,
    smallest_singular_triplets,
)
from ntk_aug.spectrum.result import SpectrumStudy
from ntk_aug.spectrum.study import study_spectrum
from ntk_aug.spectrum.subspaces import principal_angles
from ntk_aug.spectrum.summary import summarize_study

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "study_spectrum",
    "summarize_study",
    "SpectrumStudy",
    "BACKENDS",
    "estimate_cost",
    "appended_spectrum",
    "label_alignment",
    "kernel_alignment",
    "factors_of_kernel",
    "principal_angles",
    "random_subspace_angle",
    "largest_singular_triplets",
    "smallest_singular_triplets",
    "smallest_of_kernel",
    "estimate_moments",
    "estimate_entropy_rank",
]
