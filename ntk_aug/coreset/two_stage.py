"""Greedy selection in two stages, for classes whose distances do not fit into memory."""

import math

import numpy as np

from ntk_aug.aliases import KeyArray, Progress
from ntk_aug.coreset.incremental import IncrementalGreedy
from ntk_aug.coreset.lazy import LazyGreedy
from ntk_aug.coreset.similarity import GradientFactors
from ntk_aug.coreset.subset import generator


def two_stage_greedy(
    key: KeyArray,
    factors: GradientFactors,
    *,
    count: int,
    memory_bytes: int,
    progress: Progress | None = None,
) -> LazyGreedy:
    """The second stage, ready to select: from what the first has selected in random parts.

    The examples are divided at random into parts whose distances fit the budget. Of each part k are
    selected greedily, which stand for the part; then k of these, which stand for all examples.

    Args:
      key: of the division.
      factors: the gradients.
      count: k.
      memory_bytes: budget of a part's distances.
      progress: called with ("parts", done, in all).

    Reference:
      Mirzasoleiman, Karbasi, Sarkar, Krause: Distributed submodular maximization: identifying
      representative elements in massive data, 2013. Wei, Iyer, Bilmes: Fast multi-stage submodular
      maximization, 2014.
    """
    n = len(factors)
    num_parts = math.ceil(n / max(1, math.isqrt(memory_bytes // 4)))
    parts = np.array_split(generator(key).permutation(n), num_parts)
    candidates = []
    for number, part in enumerate(parts):
        greedy = IncrementalGreedy(factors.take(part), memory_bytes)
        for _ in range(min(count, len(part))):
            greedy.step()
        candidates.append(part[greedy.selected])
        if progress is not None:
            progress("parts", number + 1, num_parts)
    return LazyGreedy(factors, np.sort(np.concatenate(candidates)))
