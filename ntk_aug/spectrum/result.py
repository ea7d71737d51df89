"""The result of a spectrum study: arrays with named axes, saved in one npz file."""

import json
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from ntk_aug.aliases import Bool, Float64, Int
from ntk_aug.errors import BrokenFileError, InputError
from ntk_aug.records import StrPath, read_npz, to_json, write_npz
from ntk_aug.spectrum.bins import bin_means, slices_of

FORMAT = 3
"""Of saved studies. Format 2 lacks label shares; format 1 also lacks the errors of augmented values
and of the baselines."""
_LABEL_SHARES = ("label_shares", "augmented_label_shares")


@dataclass(frozen=True)
class StudySettings:
    """The inputs and settings of a study.

    Attributes:
      augmentations: their names, in the order of the arrays' axis A.
      num_examples: n.
      outputs_per_example: rows of J per image.
      num_params: P.
      rows: a key of `jacobian.ROWS`.
      backend: a key of `spectrum.BACKENDS`.
      dtype: of the Jacobian rows.
      seed: of the augmentation draws; the numbers of the key if a key was given.
      unknown_errors: why errors are unknown; otherwise empty.
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
    `augmented_values` to `perturbation_norm` are those of `BinComparison`, stacked.

    Attributes:
      settings: inputs and settings.
      bin_sizes: ranks per bin.
      values: sigma_i on plain images, descending.
      value_error: an upper estimate of the absolute error of each value, from rounding of the rows
        and of the decomposition (see `spectrum.accuracy`); NaN if unknown.
      uncertain: values whose estimated error is above `UNCERTAIN_SHARE` of themselves, or unknown.
      rows_norm: the part of the rows in value_error: ||E||_2 of their rounding.
      row_error: largest |row of E| / |row of J| of float32 rows in a sample of plain images.
      row_error_median: the median of the same.
      row_error_without_flips: the largest among images without a flipped mask; NaN if there are
        none.
      row_error_images: images in that sample; 0 if errors are unknown.
      masks_flipped: units of each plain image that choose differently in float32 and float64; -1 if
        unknown.
      masks_per_image: all units of an image (see `jacobian.flipped_masks`); -1 if unknown.
      augmented_value_error, augmented_uncertain, augmented_rows_norm, augmented_row_error,
        augmented_row_error_median, augmented_row_error_without_flips, augmented_row_error_images,
        augmented_masks_flipped: the same of each augmented version of the images.
      label_shares, augmented_label_shares: share of the labels' squared norm along each left
        singular vector, of one-hot labels without each output's mean (see `label_alignment`); NaN
        without labels, or if all are the same.
      tolerance: sigma at or below which a bin counts as null.
      displacement: eps0, the largest Euclidean distance between an image and its augmentation, in
        units of the network's input.
      perturbation_bound: sqrt(n) * LJ * eps0 >= ||J~ - J||, if a Lipschitz constant LJ of the
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
    label_shares: Float64[np.ndarray, "W N"]
    augmented_label_shares: Float64[np.ndarray, "W A D N"]
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
        return slices_of(self.bin_sizes)

    @property
    def uncertain_share(self) -> Float64[np.ndarray, "W A D B"]:
        """The share of each bin's ranks with an uncertain plain or augmented value.

        NaN if the errors of either are unknown.
        """
        either = (self.uncertain[:, None, None] | self.augmented_uncertain).astype(np.float64)
        errors = self.value_error[:, None, None] + self.augmented_value_error
        return bin_means(np.where(np.isnan(errors), np.nan, either), self.bins)

    def of_networks(self, chosen: slice | Int[np.ndarray, " k"]) -> "SpectrumStudy":
        """The study of some of the networks."""
        shared = ("settings", "bin_sizes", "displacement")
        own = {
            field.name: getattr(self, field.name)[chosen]
            for field in fields(self)
            if field.name not in shared and "baseline" not in field.name
        }
        return replace(self, **own)

    def save(self, path: StrPath) -> None:
        """Writes an npz file: one array per field, `settings` as JSON text, and `format`."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "settings"}
        settings = np.array(to_json(asdict(self.settings)))
        write_npz(path, {"format": np.array(FORMAT), "settings": settings, **arrays})

    @classmethod
    def load(cls, path: StrPath) -> "SpectrumStudy":
        """Reads a saved study, also one of an earlier format, whose missing entries are "unknown".

        Raises:
          InputError: the file is missing, not a saved study, or of a later format.
          BrokenFileError: the file is broken.
        """
        arrays = read_npz(path)
        expected = {field.name for field in fields(cls)}
        version = int(arrays.pop("format", 1))
        if version > FORMAT:
            raise InputError(
                f"{path} has format {version}, this ntk_aug reads formats 1 to {FORMAT}: install a "
                "newer one"
            )
        if version < 3:
            expected -= {*_LABEL_SHARES}
        if version == 1:
            expected = {name for name in expected if not _added_in_format_2(name)}
        if set(arrays) != expected:
            raise InputError(
                f"{path} is no saved spectrum study: it lacks {sorted(expected - set(arrays))} "
                f"and has {sorted(set(arrays) - expected)} besides"
            )
        try:
            settings = json.loads(str(arrays.pop("settings")))
        except json.JSONDecodeError as error:
            raise BrokenFileError(f"{path} holds broken settings: {error}") from None
        settings["augmentations"] = tuple(settings["augmentations"])
        if isinstance(settings["seed"], list):
            settings["seed"] = tuple(settings["seed"])
        if version == 1:
            arrays |= _unknown_in_format_1(arrays)
            settings["unknown_errors"] = "an earlier version of ntk_aug estimated none"
        if version < 3:
            alike = ("values", "augmented_values")
            arrays |= {
                name: np.full_like(arrays[of], np.nan)
                for name, of in zip(_LABEL_SHARES, alike, strict=True)
            }
        return cls(settings=StudySettings(**settings), **arrays)


def _added_in_format_2(name):
    of_augmented = name.startswith("augmented_") and name != "augmented_values"
    return of_augmented or name.endswith("baseline_error")


def _unknown_in_format_1(arrays):
    """The missing entries of a study without errors of augmented values."""
    shape, num_images = arrays["displacement"].shape, arrays["masks_flipped"].shape[1:]
    shape = (len(arrays["values"]), *shape)
    by_version = ("rows_norm", "row_error", "row_error_median", "row_error_without_flips")
    return {
        **{f"augmented_{name}": np.full(shape, np.nan) for name in by_version},
        "augmented_value_error": np.full_like(arrays["augmented_values"], np.nan),
        "augmented_uncertain": np.ones(arrays["augmented_values"].shape, bool),
        "augmented_row_error_images": np.zeros(shape, int),
        "augmented_masks_flipped": np.full((*shape, *num_images), -1),
        "left_baseline_error": np.full_like(arrays["left_baseline"], np.nan),
        "right_baseline_error": np.full_like(arrays["right_baseline"], np.nan),
    }
