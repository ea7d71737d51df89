import json
import subprocess
import sys
import textwrap
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from ntk_aug.errors import InputError
from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents


@pytest.mark.parametrize("own_rules", [True, False])
def test_parameters_that_are_the_outputs_have_the_identity_as_kernel(own_rules):
    kernel_fn = load_neural_tangents().empirical_ntk_fn(
        lambda params, x: params, (), implementation=3, _j_rules=own_rules, _fwd=False
    )
    kernel = kernel_fn(jnp.zeros((2, 1)), None, jnp.arange(3.0))
    np.testing.assert_array_equal(kernel, np.eye(3))


def test_infinite_width_kernel_is_the_arc_cosine_kernel():
    """One hidden ReLU layer: Cho and Saul 2009, and the recursion of Jacot et al. 2018."""
    stax = load_neural_tangents().stax
    x = np.random.default_rng(0).normal(size=(6, 5))
    kernel_fn = stax.serial(stax.Dense(1), stax.Relu(), stax.Dense(1))[2]
    with jax.enable_x64(True):
        kernels = kernel_fn(jnp.asarray(x), None, ("nngp", "ntk"))
        nngp, tangent = map(np.asarray, kernels)
    linear = x @ x.T / 5
    norms = np.sqrt(np.diag(linear))
    angle = np.arccos(np.clip(linear / np.outer(norms, norms), -1, 1))
    first_order = np.sin(angle) + (np.pi - angle) * np.cos(angle)
    expected = np.outer(norms, norms) * first_order / (2 * np.pi)
    # arccos of the diagonal's 1 is known to sqrt(eps) only; its effect is quadratic in nngp alone.
    np.testing.assert_allclose(nngp, expected, atol=1e-14)
    expected = expected + linear * (np.pi - angle) / (2 * np.pi)
    np.testing.assert_allclose(tangent, expected, atol=1e-7)


def test_predicted_dynamics_are_those_of_the_linear_equation():
    """f' = -eta K (f - y) / (n C) of the mean squared error / 2, by matrix exponentials."""
    predict = load_neural_tangents().predict
    rng = np.random.default_rng(1)
    n, m, C, eta, t = 4, 2, 3, 0.5, 7.0
    J, J_test = rng.normal(size=(n * C, 20)), rng.normal(size=(m * C, 20))
    K, K_test = J @ J.T, J_test @ J.T
    y, f, f_test = (rng.normal(size=(rows, C)) for rows in (n, n, m))
    with jax.enable_x64(True):
        solution = predict.gradient_descent_mse(
            jnp.asarray(K.reshape(n, C, n, C).transpose(0, 2, 1, 3)),
            jnp.asarray(y),
            learning_rate=eta,
            trace_axes=(),
        )
        predicted, predicted_test = solution(
            t, f, f_test, jnp.asarray(K_test.reshape(m, C, n, C).transpose(0, 2, 1, 3))
        )
        largest_rate = predict.max_learning_rate(jnp.asarray(K))
    gone = (f - y).ravel() - scipy.linalg.expm(-eta * t / (n * C) * K) @ (f - y).ravel()
    np.testing.assert_allclose(np.ravel(predicted), f.ravel() - gone, atol=1e-12)
    expected_test = f_test.ravel() - K_test @ np.linalg.solve(K, gone)
    np.testing.assert_allclose(np.ravel(predicted_test), expected_test, atol=1e-12)
    assert largest_rate == pytest.approx(2 * n * C / np.linalg.norm(K, 2), rel=1e-9)


def test_loading_leaves_jax_as_it_was_and_does_not_import_tensorflow():
    program = """
        import json, sys, types
        from concurrent.futures import ThreadPoolExecutor
        import jax, jax.core, jax.interpreters.ad
        from ntk_aug.ntk.neural_tangents.bridge import load_neural_tangents

        def state():
            modules = [name for name in sys.modules if name.split(".")[0] == "jax"]
            # Submodules that are imported on the way stay, as after any import.
            return {
                name: sorted(
                    n for n, v in vars(sys.modules[name]).items()
                    if not isinstance(v, types.ModuleType)
                )
                for name in modules
            }

        import jax.example_libraries.stax, jax.experimental.ode  # used by neural_tangents
        before = state()
        with ThreadPoolExecutor(4) as pool:
            loaded = set(pool.map(lambda _: load_neural_tangents(), range(4)))
        after = state()
        print(json.dumps({
            "one module": len(loaded) == 1,
            "works": hasattr(loaded.pop(), "empirical_ntk_fn"),
            "Jaxpr": hasattr(jax.core, "Jaxpr"),
            "changed": [n for n in before if before[n] != after[n]],
            "stand-ins": [n for n in ("jax.util", "neural_tangents.experimental")
                          if n in sys.modules],
            "tensorflow": "tensorflow" in sys.modules,
        }))
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "one module": True,
        "works": True,
        "Jaxpr": False,
        "changed": [],
        "stand-ins": [],
        "tensorflow": False,
    }


@pytest.mark.parametrize(
    ("found", "message"),
    [(None, "neural_tangents is not installed"), ("0.7.1", "has version 0.7.1, expected 0.6.x")],
)
def test_a_missing_or_other_release_is_refused(monkeypatch, found, message):
    def version(name):
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.delitem(sys.modules, "neural_tangents", raising=False)
    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(InputError, match=message):
        load_neural_tangents()
