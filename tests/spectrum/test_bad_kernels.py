import inspect

import jax
import numpy as np
import pytest

from ntk_aug import spectrum
from ntk_aug.errors import InputError

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.eye(4) * np.nan, "the kernel holds NaN or infinity"),
        (np.diag([1, 1, 1, np.inf]), "the kernel holds NaN or infinity"),
        (np.ones((4, 3)), r"shape \(4, 3\), expected a square matrix"),
        (np.ones(4), r"shape \(4,\), expected a square matrix"),
        (np.ones((0, 0)), r"shape \(0, 0\), expected a square matrix"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda call, K: call(spectrum.factors_of_kernel)(K, 10),
        lambda call, K: call(spectrum.smallest_of_kernel)(K, 10, 1),
        lambda call, K: call(spectrum.kernel_alignment)(K, np.array([0, 1, 0, 1])),
        lambda call, K: call(spectrum.estimate_moments)(KEY, K),
        lambda call, K: call(spectrum.estimate_entropy_rank)(KEY, K),
    ],
    ids=["factors", "smallest", "alignment", "moments", "entropy rank"],
)
def test_what_is_no_kernel_is_refused_in_one_line(use, kernel, message):
    # Without the checks of types that are on in tests: a user has none.
    with pytest.raises(InputError, match=message):
        use(inspect.unwrap, kernel)
