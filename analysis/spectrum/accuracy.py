"""Counts of uncertain values and flipped masks of a study, and a sentence about them."""

from typing import NamedTuple

import numpy as np

from ntk_aug.spectrum import SpectrumStudy
from ntk_aug.spectrum.accuracy import UNCERTAIN_SHARE


class AccuracyCounts(NamedTuple):
    """Counts over all networks, for plain images or for all augmented versions.

    Attributes:
      values: singular values.
      uncertain_values: values with a large estimated error; None if errors are unknown.
      masks: units of all images that can flip; None if unknown.
      masks_flipped: units that float32 and float64 set differently.
      images_with_flips: images with such a unit.
    """

    values: int
    uncertain_values: int | None
    masks: int | None
    masks_flipped: int | None
    images_with_flips: int | None


def accuracy_counts(study: SpectrumStudy) -> dict[str, AccuracyCounts]:
    """The counts of "plain" and of "augmented" images."""
    versions = int(np.prod(study.augmented_rows_norm.shape[1:]))
    return {
        "plain": _counts(
            study.value_error, study.uncertain, study.masks_flipped, study.masks_per_image
        ),
        "augmented": _counts(
            study.augmented_value_error,
            study.augmented_uncertain,
            study.augmented_masks_flipped,
            versions * study.masks_per_image,
        ),
    }


def _counts(errors, uncertain, flipped, units):
    known = bool(np.isfinite(errors).all())
    return AccuracyCounts(
        values=errors.size,
        uncertain_values=int(uncertain.sum()) if known else None,
        masks=int(flipped.shape[-1] * units.sum()) if known else None,
        masks_flipped=int(flipped.sum()) if known else None,
        images_with_flips=int((flipped > 0).sum()) if known else None,
    )


def flagged_bins(study: SpectrumStudy, a: int) -> np.ndarray:
    """Bins with an uncertain value, plain or under augmentation number a.

    [B], over all networks and draws. No bin is marked if errors are unknown.
    """
    plain = (study.uncertain & np.isfinite(study.value_error)).any(axis=0)
    known = np.isfinite(study.augmented_value_error[:, a])
    either = plain | (study.augmented_uncertain[:, a] & known).any(axis=(0, 1))
    return np.array([either[members].any() for members in study.bins])


def accuracy_sentence(study: SpectrumStudy) -> str:
    """How many singular values are uncertain, and how many masks flip within rounding."""
    counts = accuracy_counts(study)
    known = {name: of for name, of in counts.items() if of.uncertain_values is not None}
    parts = []
    if known:
        uncertain = " and ".join(
            f"{of.uncertain_values:,} of {of.values:,} {name}" for name, of in known.items()
        )
        parts.append(
            f"{uncertain} values have an estimated error above {100 * UNCERTAIN_SHARE:g} %"
        )
        if any(of.masks for of in known.values()):
            flips = " and ".join(
                f"{of.masks_flipped:,} of {of.masks:,} in {name}" for name, of in known.items()
            )
            parts.append(f"masks that flip within rounding: {flips} images")
        else:
            parts.append("no mask can flip, the network is smooth")
    unknown = " and ".join(name for name in counts if name not in known)
    if unknown:
        reason = study.settings.unknown_errors
        parts.append(f"the errors of {unknown} values are not known: {reason}")
    return f"{study.settings.dtype} rows: " + "; ".join(parts)
