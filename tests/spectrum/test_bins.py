import numpy as np
import pytest

from ntk_aug.errors import InputError
from ntk_aug.spectrum.bins import bin_means, boundary_gaps, equal_count_bins, null_bins, tied_bins


@pytest.mark.parametrize("num_values", [900, 2700, 100, 31, 30, 12, 1])
def test_bins_are_those_of_array_split(num_values):
    bins = equal_count_bins(num_values)
    expected = np.array_split(np.arange(num_values), min(30, num_values))
    assert [list(range(b.start, b.stop)) for b in bins] == [list(e) for e in expected]


def test_a_hundred_values_make_ten_bins_of_four_and_twenty_of_three():
    sizes = [b.stop - b.start for b in equal_count_bins(100)]
    assert sizes == [4] * 10 + [3] * 20


@pytest.mark.parametrize(("num_values", "num_bins"), [(0, 30), (10, 0)])
def test_nothing_to_bin_is_refused(num_values, num_bins):
    with pytest.raises(InputError, match="is 0, expected at least 1"):
        equal_count_bins(num_values, num_bins)


def test_flags_and_gaps_of_a_spectrum_with_a_tie_and_a_null_value():
    values = np.array([9.0, 8.0, 8.0, 5.0, 4.0, 1e-20])
    bins = equal_count_bins(6, 3)
    gaps = boundary_gaps(values, bins)
    np.testing.assert_array_equal(gaps, [0.0, 1.0])
    np.testing.assert_array_equal(tied_bins(gaps, 1e-12), [True, True, False])
    np.testing.assert_array_equal(null_bins(values, bins, 1e-12), [False, False, True])
    np.testing.assert_allclose(bin_means(values, bins), [8.5, 6.5, 2.0])
