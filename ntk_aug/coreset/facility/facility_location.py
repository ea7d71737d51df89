"""Facility location: selects examples whose gradients represent all others."""

from ntk_aug.aliases import KeyLike, Progress
from ntk_aug.checks import check_at_least, check_choice, check_count
from ntk_aug.coreset.facility.growing import TIE, GrowingSelection, located
from ntk_aug.coreset.facility.incremental import IncrementalGreedy
from ntk_aug.coreset.facility.lazy import LazyGreedy
from ntk_aug.coreset.facility.stochastic import StochasticGreedy
from ntk_aug.coreset.facility.two_stage import two_stage_greedy
from ntk_aug.coreset.gradient_factors import Gradients, as_factors
from ntk_aug.coreset.subset import Subset
from ntk_aug.errors import InputError

DEFAULT_MEMORY_BYTES = 2 * 2**30
DEFAULT_ALGORITHM = "incremental"
DEFAULT_EPSILON = 0.1

ALGORITHMS = {
    "incremental": "exact; all gains are kept up to date; fast if all distances fit into memory",
    "lazy": "exact; only gains that may be the largest are computed; needs little memory",
    "stochastic": "the best of a few random examples in each step; for the largest classes",
    "two-stage": "exact in random parts that fit into memory, then among the parts' selections",
}
RANDOM_ALGORITHMS = ("stochastic", "two-stage")


def facility_location(
    gradients: Gradients,
    *,
    count: int | None = None,
    tolerance: float | None = None,
    constant: float | None = None,
    algorithm: str = DEFAULT_ALGORITHM,
    algorithm_key: KeyLike | None = None,
    epsilon: float = DEFAULT_EPSILON,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    progress: Progress | None = None,
) -> Subset:
    """Greedily selects examples whose gradients represent those of all.

    Each step takes the example that most increases F(S) = sum_i max_{j in S} (constant - ||g_i -
    g_j||), so F(S) is at least 1 - 1/e of the best of any k. Both exact algorithms select the same
    examples: among equal gains (to 1e-12 of the sum of distances) the lowest index wins. Of more
    than 32 near ties, the incremental algorithm compares only the 32 that are best in float32.

    Args:
      gradients: [n, P], or factors of them; or proxies of gradients.
      count: stop at k examples.
      tolerance: stop once the estimate sum_i min_{j in S} ||g_i - g_j|| is at most this. At least
        one of the two rules is needed; the first that holds stops.
      constant: at least the largest distance; None takes that, or an upper bound. The order does
        not depend on it.
      algorithm: a key of `ALGORITHMS`.
      algorithm_key: random key of "stochastic" and "two-stage", which need it and a count.
      epsilon: in (0, 1), the loss of "stochastic" against the bound above, in expectation.
      memory_bytes: budget of kept distances, 4 n^2 bytes. Above it "incremental" recomputes
        distances; "two-stage" chooses its parts by it.
      progress: called with ("facility location", selected, k), where k is n without a count; two
        stages also call ("parts", done, total) and ("merging", selected, k).

    Raises:
      InputError: no stopping rule; a count, tolerance or epsilon out of range; gradients that are
        not finite; a constant below the largest distance; an unknown algorithm, or a random one
        without key or count.

    References:
      Nemhauser, Wolsey, Fisher: An analysis of approximations for maximizing submodular set
      functions, 1978 (the bound). Mirzasoleiman, Bilmes, Leskovec: Coresets for data-efficient
      training of machine learning models, 2020 (the objective on gradients).
    """
    factors = as_factors(gradients)
    n = len(factors)
    if count is None and tolerance is None:
        raise InputError("neither count nor tolerance is given, expected at least one")
    limit = n if count is None else check_count(count, n, "count (examples to select)")
    if tolerance is not None:
        check_at_least(tolerance, 0, "tolerance")
    check_algorithm(algorithm, algorithm_key, count, epsilon)
    check_at_least(memory_bytes, 1, "memory_bytes")
    greedy: GrowingSelection
    if algorithm == "incremental":
        greedy = IncrementalGreedy(factors, memory_bytes)
    elif algorithm == "lazy":
        greedy = LazyGreedy(factors)
    else:
        assert algorithm_key is not None  # checked above
        if algorithm == "stochastic":
            greedy = StochasticGreedy(algorithm_key, factors, count=limit, epsilon=epsilon)
        else:
            greedy = two_stage_greedy(
                algorithm_key, factors, limit, tolerance, memory_bytes, progress
            )
    if constant is None:
        constant = greedy.largest
    elif not constant >= greedy.largest * (1 - TIE):
        raise InputError(
            f"constant is {constant}, expected at least {greedy.largest:.6g}, the largest distance "
            "or a bound on it"
        )
    estimates: list[float] = []
    while len(estimates) < limit:
        estimates.append(greedy.step())
        if progress is not None:
            progress("facility location", len(estimates), limit)
        if tolerance is not None and estimates[-1] <= tolerance:
            break
    return located(factors, greedy.selected, greedy.assignment, estimates, float(constant))


def check_algorithm(algorithm: str, key: KeyLike | None, count: int | None, epsilon: float) -> None:
    """Raises InputError for an unknown algorithm, or one that lacks its key or count."""
    check_choice(algorithm, ALGORITHMS, "algorithm of facility location")
    if algorithm in RANDOM_ALGORITHMS and (key is None or count is None):
        lacking = "algorithm_key" if key is None else "a count"
        raise InputError(f"algorithm {algorithm!r} needs {lacking}, which is not given")
    if not 0 < epsilon < 1:
        raise InputError(f"epsilon is {epsilon}, expected more than 0 and less than 1")
