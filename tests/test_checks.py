import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import checks
from ntk_aug.errors import InputError


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)


def test_a_known_choice_is_returned():
    assert checks.check_choice("svd", {"kernel": 1, "svd": 2}, "backend") == "svd"


def test_an_unknown_choice_lists_the_known_ones_in_order():
    with pytest.raises(InputError) as caught:
        checks.check_choice("zzz", ("svd", "kernel"), "backend")
    assert str(caught.value) == "unknown backend 'zzz'; known: kernel, svd"


def test_a_misspelt_choice_names_the_close_one():
    with pytest.raises(InputError, match=r"'kernal' \(did you mean 'kernel'\?\); known: kernel"):
        checks.check_choice("kernal", ("svd", "kernel"), "backend")


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_count_within_its_limits_is_returned(count):
    assert checks.check_count(count, 5, "n", minimum=2) == count


@pytest.mark.parametrize("count", [-1, 1, 6])
def test_a_count_outside_its_limits_is_refused(count):
    with pytest.raises(InputError, match=f"^n is {count}, expected 2 to 5$"):
        checks.check_count(count, 5, "n", minimum=2)


@pytest.mark.parametrize("count", [2.0, 2.5, np.nan])
def test_a_count_that_is_no_integer_is_refused(count):
    with pytest.raises(InputError, match=r"^n is .*, expected an integer, 2 to 5$"):
        checks.check_count(count, 5, "n", minimum=2)


def test_at_least_accepts_the_minimum_itself():
    checks.check_at_least(0.5, 0.5, "x")


@pytest.mark.parametrize("value", [0.49, -np.inf, np.nan])
def test_at_least_refuses_less_and_nan(value):
    with pytest.raises(InputError, match=rf"^x is {value}, expected at least 0\.5$"):
        checks.check_at_least(value, 0.5, "x")


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_good_images_come_back_as_they_are(dtype):
    images = np.arange(24).reshape(2, 3, 4, 1).astype(dtype)
    checked = checks.check_images(jnp.asarray(images) if dtype == np.float32 else images)
    assert isinstance(checked, np.ndarray)
    assert checked.dtype == dtype
    np.testing.assert_array_equal(checked, images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 3)), r"shape \(2, 3, 3\), expected \[n, height, width, channels\]"),
        (np.zeros((1, 2, 3, 3, 1)), r"shape \(1, 2, 3, 3, 1\), expected \[n,"),
        (np.zeros((0, 3, 3, 1)), r"shape \(0, 3, 3, 1\): no axis may be empty"),
        (np.zeros((2, 3, 3, 0)), r"shape \(2, 3, 3, 0\): no axis may be empty"),
        (np.zeros((2, 3, 3, 1), int), "dtype int64, expected uint8 or floating point"),
        (np.zeros((2, 3, 3, 1), bool), "dtype bool, expected uint8 or floating point"),
        (np.zeros((2, 3, 3, 1), complex), "dtype complex128, expected uint8 or floating point"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(images, message):
    with pytest.raises(InputError, match=f"^pictures have {message}"):
        checks.check_images(images, "pictures")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_image_that_is_not_finite_is_named(value):
    images = np.zeros((5, 2, 2, 3), np.float32)
    images[2, 1, 0, 2] = images[4, 0, 0, 0] = value
    with pytest.raises(InputError, match=r"in 2 of 5 images, first in image 2$"):
        checks.check_images(images)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_good_labels_come_back_as_int32(dtype):
    labels = checks.check_labels(np.array([0, 2, 1, 2], dtype), 4, 3)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, [0, 2, 1, 2])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"^labels have shape \(2,\), expected \(3,\): one per image$"),
        ([[0], [1], [2]], r"^labels have shape \(3, 1\), expected \(3,\)"),
        ([0.0, 1.0, 2.0], "^labels have dtype float64, expected integers$"),
        ([True, False, True], "^labels have dtype bool, expected integers$"),
        ([0, 4, 5], r"^label 4 of image 1 is outside 0 \.\. 3$"),
        ([0, 1, -1], r"^label -1 of image 2 is outside 0 \.\. 3$"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        checks.check_labels(labels, 3, 4)


def test_finite_floating_point_parameters_pass():
    checks.check_params({"a": np.ones(2, "f4"), "b": [jnp.ones((1, 2)), np.float32(0)]})
    checks.check_params({"double": np.ones(2)})
    checks.check_params({"half": jnp.ones(2, jnp.bfloat16)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_named(value):
    params = {"hidden": {"bias": jnp.ones(2), "kernel": jnp.array([[1.0, value]])}}
    with pytest.raises(InputError, match=r"^weights\['hidden'\]\['kernel'\] holds NaN or infinity"):
        checks.check_params(params, "weights")


@pytest.mark.parametrize("other", [jnp.bfloat16, np.float64])
def test_parameters_of_two_types_are_named(other):
    params = {"a": np.ones(2, "f4"), "b": np.ones(2, other)}
    message = rf"^parameters\['b'\] has dtype {np.dtype(other)} and parameters\['a'\] has float32"
    with pytest.raises(InputError, match=message):
        checks.check_params(params)


def test_an_integer_parameter_is_named():
    with pytest.raises(InputError, match=r"^parameters\['step'\] has dtype int32, expected float"):
        checks.check_params({"a": jnp.ones(2), "step": jnp.arange(3)})


@pytest.mark.parametrize("params", [{}, [], {"a": None}])
def test_empty_parameters_are_refused(params):
    assert not jax.tree.leaves(params)
    with pytest.raises(InputError, match=r"^parameters are empty"):
        checks.check_params(params)


def test_shapes_are_compared_whatever_their_type():
    checks.check_same_shape([2, 3], (2, 3), "x")
    for other in [(3, 2), (2,), (2, 3, 1)]:
        with pytest.raises(InputError, match=r"^x has shape \(.*\), expected \(2, 3\)$"):
            checks.check_same_shape(other, [2, 3], "x")


def test_a_folder_that_exists_or_can_be_made_is_writable(tmp_path):
    checks.check_writable_folder(tmp_path)
    checks.check_writable_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_and_has_none_in_it(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match=r"file is a file, expected a folder"):
        checks.check_writable_folder(file)
    with pytest.raises(InputError, match=r"file/a/b cannot be created: .*file is a file"):
        checks.check_writable_folder(file / "a" / "b")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    # The administrator may write anywhere, so the answer of the system is replaced.
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"a/b cannot be written: Permission denied in "):
        checks.check_writable_folder(tmp_path / "a" / "b")
