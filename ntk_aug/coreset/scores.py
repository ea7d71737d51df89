"""The examples with the largest scores."""

import numpy as np

from ntk_aug.aliases import Array, Float
from ntk_aug.checks import check_count, check_finite_rows
from ntk_aug.coreset.subset import Subset


def largest_scores(scores: Float[Array, " n"], count: int) -> Subset:
    """Selects the examples with the largest scores, the largest first; of equals the first.

    Returns:
      Weights are n / k each; gains are the scores.

    Raises:
      InputError: a count out of range, scores that are not finite (the first is named).
    """
    scores = np.asarray(scores, np.float64)
    check_finite_rows(scores[:, None], "scores")
    check_count(count, len(scores), "count (examples to select)")
    indices = np.argsort(-scores, kind="stable")[:count]
    return Subset(indices, np.full(count, len(scores) / count), scores[indices])
