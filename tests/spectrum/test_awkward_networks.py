"""Studies, selections and commands of the networks that users bring, and the errors they state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_networks import NETWORKS, NUM_CLASSES

from analysis.__main__ import COMMANDS
from ntk_aug import coreset, data, models, spectrum
from ntk_aug.inputs import check_inputs
from ntk_aug.programs import run_program
from ntk_aug.records import read_json

# What crashed or stated wrong errors is in every test run; the others are slow.
QUICK = ("float32 head", "bfloat16 dense", "lstm")


def shaken(key, example):
    """An augmentation of any example: noise on floats; integers, such as ids, in another order."""

    def of_leaf(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf + 0.1 * jax.random.normal(key, leaf.shape, leaf.dtype)
        return jax.random.permutation(key, leaf)

    return jax.tree.map(of_leaf, example)


def study(network, **options):
    inputs = network.inputs()
    if np.ndim(inputs) == 4:
        inputs = (inputs - inputs.min()) / np.ptp(inputs)  # images are in [0, 1]
    return spectrum.study_spectrum(
        0, network.build(), inputs, {"shaken": augmentation_of(inputs)}, num_bins=3, **options
    )


def augmentation_of(inputs):
    if np.ndim(inputs) == 4:
        return lambda key, image: jnp.clip(shaken(key, image), 0, 1)
    return shaken


def check_errors(single, double):
    """The float32 study is within its stated errors of the float64 one, and these are no zeros."""
    for name, errors in (("values", "value_error"), ("augmented_values", "augmented_value_error")):
        stated = getattr(single, errors)
        true = np.abs(getattr(single, name) - getattr(double, name))
        assert (true <= stated + getattr(double, errors)).all(), name
        assert (stated > 0).all(), name
    assert (single.row_error > 0).all()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NETWORKS],
)
def test_a_study_states_the_errors_of_any_network(name):
    single, double = (study(NETWORKS[name], dtype=dtype) for dtype in ("float32", "float64"))
    check_errors(single, double)
    if "bfloat16" in name:
        assert single.row_error_median[0] > 1e-4  # bfloat16 has 8 bits: 4e-3
        assert (single.value_error > 1e-4 * single.values[:, :1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_all_routes_agree_and_select(name):
    network = NETWORKS[name]
    exact = study(network, dtype="float64")
    by_svd = study(network, dtype="float64", backend="svd")
    scale = exact.values.max()
    np.testing.assert_allclose(by_svd.values, exact.values, atol=2e-8 * scale)
    np.testing.assert_allclose(by_svd.augmented_values, exact.augmented_values, atol=2e-8 * scale)
    by_neural_tangents = study(
        network,
        dtype="float64",
        backend="neural_tangents",
        implementation="jacobian-contraction",
    )
    np.testing.assert_allclose(by_neural_tangents.values, exact.values, atol=2e-8 * scale)

    inputs = check_inputs(network.inputs())
    images = (inputs - inputs.min()) / np.ptp(inputs) if np.ndim(inputs) == 4 else inputs
    dataset = data.Dataset("own", "train", images, np.array([0, 1, 2, 0]), tuple("abc"))
    for proxy in ("last-layer-logit", "network"):
        examples = coreset.network_examples(models.as_view(network.build()), dataset, proxy=proxy)
        chosen = coreset.select(0, examples, "coreset", count=3)
        assert len(chosen.indices) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["float32_head", "bfloat16_dense", "lstm_over_rows", "convolution_in_a_scan"]
)
def test_commands_take_them(model, tmp_path, capsys):
    options = ["--model", f"awkward_networks:{model}", "--epochs", "1", "--n", "12"]
    cache = ["--cache", str(tmp_path / "cache")]
    for dtype in ("float32", "float64"):
        out = tmp_path / dtype
        arguments = ["spectrum", *options, *cache, "--dtype", dtype, "--augment", "noise:0.5"]
        arguments += ["--bins", "3", "--out", str(out)]
        assert run_program("analysis", "", COMMANDS, arguments=arguments) == 0
        assert read_json(out / "summary.json")["accuracy"]["uncertain_values"] is not None
    select = ["select", "--model", f"awkward_networks:{model}", "--epochs", "1", *cache]
    select += ["--classes", "0", "1", "2", "--count", "9", "--proxy", "network"]
    select += ["--out", str(tmp_path / "selection")]
    assert run_program("analysis", "", COMMANDS, arguments=select) == 0
    assert NUM_CLASSES == 3
    capsys.readouterr()
