"""The result of a spectrum study: arrays with named axes, saved to and loaded from one npz file."""

import json
from dataclasses import asdict, dataclass, fields

import numpy as np

from ntk_aug.aliases import Bool, Float64, Int
from ntk_aug.errors import InputError
from ntk_aug.records import StrPath, read_npz, to_json, write_npz
from ntk_aug.spectrum.bins import bin_means

FORMAT = 2
"""Of saved studies. Format 1 knows no errors of augmented values and of the baselines."""


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
      seed: of the augmentation draws; the numbers of the key where a key was given.
      unknown_errors: why errors are not known, where that is so; otherwise empty.
    """

    augmentations: tuple[str, ...]
    num_examples: int
    outputs_per_example: int
    num_params: int
    rows: str
    backend: str
    dtype: str
    seed: int | tuple[int, ...]
    unknown_errors: str = ""


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
        the rows and of the decomposition (see `spectrum.accuracy`); NaN if it is not known.
      uncertain: values whose estimated error is above `spectrum.UNCERTAIN_SHARE` of themselves, or
        not known.
      rows_norm: the part of the rows in value_error: ||E||_2 of their rounding.
      row_error: largest |row of E| / |row of J| of float32 rows in a sample of plain images.
      row_error_median: the median of the same.
      row_error_without_flips: the largest without images in which a mask flips; NaN if none is so.
      row_error_images: how many images that sample has; 0 if the errors are not known.
      masks_flipped: units of each plain image that choose differently in float32 and float64; -1
        if that is not known.
      masks_per_image: all units of an image (see `jacobian.flipped_masks`); -1 if not known.
      augmented_value_error, augmented_uncertain, augmented_rows_norm: the same of the augmented
        values, estimated from each augmented version of the images itself.
      augmented_row_error, augmented_row_error_median, augmented_row_error_without_flips,
        augmented_row_error_images, augmented_masks_flipped: the same of each augmented version.
      tolerance: sigma at or below which a bin counts as null.
      displacement: eps0, the largest Euclidean distance between an image and its augmentation, in
        units of the network's input.
      perturbation_bound: sqrt(n) * LJ * eps0 >= ||J~ - J||, where a Lipschitz constant LJ of the
        Jacobian is certified; otherwise NaN.
      left_baseline: mean principal angle of random subspaces of R^(n * outputs), in degrees.
      right_baseline: the same in R^P.
      left_baseline_error, right_baseline_error: their standard errors, in degrees; 0.1 at most.
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
    augmented_value_error: Float64[np.ndarray, "W A D N"]
    augmented_uncertain: Bool[np.ndarray, "W A D N"]
    augmented_rows_norm: Float64[np.ndarray, "W A D"]
    augmented_row_error: Float64[np.ndarray, "W A D"]
    augmented_row_error_median: Float64[np.ndarray, "W A D"]
    augmented_row_error_without_flips: Float64[np.ndarray, "W A D"]
    augmented_row_error_images: Int[np.ndarray, "W A D"]
    augmented_masks_flipped: Int[np.ndarray, "W A D n"]
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
    left_baseline_error: Float64[np.ndarray, " B"]
    right_baseline_error: Float64[np.ndarray, " B"]

    @property
    def num_bins(self) -> int:
        """B."""
        return len(self.bin_sizes)

    @property
    def bins(self) -> tuple[slice, ...]:
        """The ranks of each bin."""
        stops = np.cumsum(self.bin_sizes)
        return tuple(
            slice(int(stop - size), int(stop))
            for stop, size in zip(stops, self.bin_sizes, strict=True)
        )

    @property
    def uncertain_share(self) -> Float64[np.ndarray, "W A D B"]:
        """How much of each bin's numbers stands on uncertain values.

        The share of its ranks whose value is uncertain in the plain spectrum, in the augmented one,
        or in both; NaN if the errors of either are not known.
        """
        either = (self.uncertain[:, None, None] | self.augmented_uncertain).astype(np.float64)
        errors = self.value_error[:, None, None] + self.augmented_value_error
        return bin_means(np.where(np.isnan(errors), np.nan, either), self.bins)

    def save(self, path: StrPath) -> None:
        """Writes an npz file: one array per field, `settings` as JSON text, and `format`."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "settings"}
        settings = np.array(to_json(asdict(self.settings)))
        write_npz(path, {"format": np.array(FORMAT), "settings": settings, **arrays})

    @classmethod
    def load(cls, path: StrPath) -> "SpectrumStudy":
        """Reads what `save` wrote, or an earlier version's `save`, whose gaps are "not known".

        Raises:
          InputError: the file is missing, broken, not a saved study, or of a later version.
        """
        arrays = read_npz(path)
        expected = {field.name for field in fields(cls)}
        version = int(arrays.pop("format", 1))
        if version > FORMAT:
            raise InputError(
                f"{path} has format {version}, and this version of ntk_aug reads formats 1 to "
                f"{FORMAT}: install a newer one"
            )
        if version == 1:
            expected = expected - set(_ADDED_IN_FORMAT_2)
        if set(arrays) != expected:
            raise InputError(
                f"{path} is no saved spectrum study: it lacks {sorted(expected - set(arrays))} "
                f"and has {sorted(set(arrays) - expected)} besides"
            )
        settings = json.loads(str(arrays.pop("settings")))
        settings["augmentations"] = tuple(settings["augmentations"])
        if isinstance(settings["seed"], list):
            settings["seed"] = tuple(settings["seed"])
        if version == 1:
            arrays |= _unknown_in_format_1(arrays)
            settings["unknown_errors"] = "an earlier version of ntk_aug estimated none"
        return cls(settings=StudySettings(**settings), **arrays)


_ADDED_IN_FORMAT_2 = (
    "augmented_value_error",
    "augmented_uncertain",
    "augmented_rows_norm",
    "augmented_row_error",
    "augmented_row_error_median",
    "augmented_row_error_without_flips",
    "augmented_row_error_images",
    "augmented_masks_flipped",
    "left_baseline_error",
    "right_baseline_error",
)


def _unknown_in_format_1(arrays):
    """What a study without errors of augmented values says of them."""
    shape, num_images = arrays["displacement"].shape, arrays["masks_flipped"].shape[1:]
    shape = (len(arrays["values"]), *shape)
    unknown = {name: np.full(shape, np.nan) for name in _ADDED_IN_FORMAT_2 if "row" in name}
    return {
        **unknown,
        "augmented_value_error": np.full_like(arrays["augmented_values"], np.nan),
        "augmented_uncertain": np.ones(arrays["augmented_values"].shape, bool),
        "augmented_row_error_images": np.zeros(shape, int),
        "augmented_masks_flipped": np.full((*shape, *num_images), -1),
        "left_baseline_error": np.full_like(arrays["left_baseline"], np.nan),
        "right_baseline_error": np.full_like(arrays["right_baseline"], np.nan),
    }
