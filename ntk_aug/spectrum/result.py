"""The result of a spectrum study: arrays with named axes, saved to and loaded from one npz file."""

import json
from dataclasses import asdict, dataclass, fields

import numpy as np

from ntk_aug.aliases import Bool, Float64, Int
from ntk_aug.checks import InputError
from ntk_aug.records import StrPath, read_npz, to_json, write_npz


@dataclass(frozen=True)
class StudySettings:
    """What a study was computed from, and how.

    Attributes:
      augmentations: their names, in the order of the arrays' axis A.
      num_examples: n.
      outputs_per_example: rows of J per image: C, or 1 for the true class's logit.
      num_params: P.
      rows: a key of `jacobian.ROWS`.
      backend: a key of `spectrum.BACKENDS`.
      dtype: of the Jacobian rows.
      seed: of the augmentation draws.
    """

    augmentations: tuple[str, ...]
    num_examples: int
    outputs_per_example: int
    num_params: int
    rows: str
    backend: str
    dtype: str
    seed: int


@dataclass(frozen=True)
class SpectrumStudy:
    """Spectra of plain and augmented images, for W networks, A augmentations and D draws of each.

    N = min(n * outputs, P) singular values are in B bins of consecutive ranks. The fields from
    `augmented_values` to `perturbation_norm` are those of `spectrum.BinComparison`, stacked.

    Attributes:
      settings: what it was computed from.
      bin_sizes: ranks per bin.
      values: sigma_i on plain images, descending.
      value_error: an estimate, from above, of the absolute error of each of them, by rounding of
        the rows and of the decomposition (see `spectrum.accuracy`).
      uncertain: values whose estimated error is above `spectrum.UNCERTAIN_SHARE` of themselves.
      rows_norm: the part of the rows in value_error: ||E||_2 of their rounding.
      row_error: largest |row of E| / |row of J| of float32 rows in a sample of plain images.
      row_error_median: the median of the same.
      row_error_without_flips: the largest without images in which a mask flips; NaN if none is so.
      row_error_images: how many images that sample has.
      masks_flipped: units of each plain image that choose differently in float32 and float64.
      masks_per_image: all units of an image (see `jacobian.flipped_masks`).
      tolerance: sigma at or below which a bin counts as null.
      displacement: eps0, the largest Euclidean distance between an image and its augmentation, in
        units of the network's input.
      perturbation_bound: sqrt(n) * LJ * eps0 >= ||J~ - J||, where a Lipschitz constant LJ of the
        Jacobian is certified; otherwise NaN.
      left_baseline: mean principal angle of random subspaces of R^(n * outputs), in degrees.
      right_baseline: the same in R^P.
    """

    settings: StudySettings
    bin_sizes: np.ndarray
    values: Float64[np.ndarray, "W N"]
    value_error: Float64[np.ndarray, "W N"]
    uncertain: Bool[np.ndarray, "W N"]
    rows_norm: Float64[np.ndarray, " W"]
    row_error: Float64[np.ndarray, " W"]
    row_error_median: Float64[np.ndarray, " W"]
    row_error_without_flips: Float64[np.ndarray, " W"]
    row_error_images: Int[np.ndarray, " W"]
    masks_flipped: Int[np.ndarray, "W n"]
    masks_per_image: Int[np.ndarray, " W"]
    tolerance: Float64[np.ndarray, " W"]
    augmented_values: Float64[np.ndarray, "W A D N"]
    difference: Float64[np.ndarray, "W A D B"]
    relative_difference: Float64[np.ndarray, "W A D B"]
    share_decreased: Float64[np.ndarray, "W A D B"]
    left_angle: Float64[np.ndarray, "W A D B"]
    right_angle: Float64[np.ndarray, "W A D B"]
    boundary_gap: Float64[np.ndarray, "W A D B_minus_1"]
    null: Bool[np.ndarray, "W A D B"]
    tie: Bool[np.ndarray, "W A D B"]
    perturbation_norm: Float64[np.ndarray, "W A D"]
    displacement: Float64[np.ndarray, "A D"]
    perturbation_bound: Float64[np.ndarray, "W A D"]
    left_baseline: Float64[np.ndarray, " B"]
    right_baseline: Float64[np.ndarray, " B"]

    @property
    def num_bins(self) -> int:
        """B."""
        return len(self.bin_sizes)

    def save(self, path: StrPath) -> None:
        """Writes everything to an npz file: one array per field, and `settings` as JSON text."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "settings"}
        write_npz(path, {"settings": np.array(to_json(asdict(self.settings))), **arrays})

    @classmethod
    def load(cls, path: StrPath) -> "SpectrumStudy":
        """Reads what `save` wrote.

        Raises:
          InputError: the file is missing, broken, or not a saved study.
        """
        arrays = read_npz(path)
        expected = {field.name for field in fields(cls)}
        if set(arrays) != expected:
            raise InputError(
                f"{path} is no saved spectrum study: it lacks {sorted(expected - set(arrays))} "
                f"and has {sorted(set(arrays) - expected)} besides"
            )
        settings = json.loads(str(arrays.pop("settings")))
        settings["augmentations"] = tuple(settings["augmentations"])
        return cls(settings=StudySettings(**settings), **arrays)
