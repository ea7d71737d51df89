"""Examples that several tests of selectors share."""

import numpy as np
import pytest

from ntk_aug import coreset


@pytest.fixture(scope="module")
def small():
    """Three mixed classes of 40, 10 and 25 examples, of which everything is given."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), (40, 10, 25)))
    logits = rng.standard_normal((75, 3)) + np.eye(3)[labels]
    return coreset.Examples.from_arrays(
        labels,
        3,
        gradients=rng.standard_normal((75, 4)) + np.eye(3, 4)[labels],
        logits=logits,
        gradient_norms=rng.uniform(1, 2, 75),
    )
