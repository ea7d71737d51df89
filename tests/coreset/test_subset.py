import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.errors import InputError


def test_mean_one_weights_keep_their_ratios():
    found = coreset.mean_one_weights(np.array([1, 2, 0, 5]))
    np.testing.assert_allclose(found, [0.5, 1, 0, 2.5], rtol=1e-15)
    assert found.mean() == 1
    assert len(coreset.mean_one_weights(np.empty(0))) == 0


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_weights_that_have_no_mean_of_one_are_refused(weights):
    with pytest.raises(InputError, match="expected numbers of at least 0, not all of them 0"):
        coreset.mean_one_weights(np.array(weights))
