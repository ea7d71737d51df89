import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from ntk_aug import jacobian, ntk
from ntk_aug.errors import InputError
from ntk_aug.ntk.dynamics import DYNAMICS_LOSSES

n, m, C = 5, 2, 3
TIMES = [0.0, 1.0, 12.5, 400.0]


@pytest.fixture(scope="module")
def problem():
    """Kernels, targets and first outputs of a linear network with random rows."""
    rng = np.random.default_rng(0)
    J, J_test = rng.normal(size=(n * C, 30)), rng.normal(size=(m * C, 30))
    y, f, f_test = (rng.normal(size=(rows, C)) for rows in (n, n, m))
    return {
        "kernel": J @ J.T,
        "targets": y,
        "outputs": f,
        "test_kernel": J_test @ J.T,
        "test_outputs": f_test,
    }


def predicted(problem, times=TIMES, **options):
    given = {**problem, "times": times, "learning_rate": 0.1, **options}
    return ntk.linearized_predictions(**given)


def learnt_by_modes(K, error, times, rate):
    """(1 - exp(-rate t K)) error for each time, mode by mode, and K^-1 times that."""
    values, vectors = np.linalg.eigh(K)
    parts = vectors.T @ error
    gone = -np.expm1(-rate * np.outer(times, values)) * parts
    return gone @ vectors.T, gone / values @ vectors.T


def test_the_mean_squared_error_decays_mode_by_mode_at_eta_over_n_c(problem):
    """f_t = f + (1 - exp(-eta t K / (n C))) (y - f): the loss is half the mean over both axes."""
    found = predicted(problem)
    error = (problem["targets"] - problem["outputs"]).ravel()
    gone, weights = learnt_by_modes(problem["kernel"], error, TIMES, 0.1 / (n * C))
    expected = problem["outputs"].ravel() + gone
    expected_test = problem["test_outputs"].ravel() + weights @ problem["test_kernel"].T
    np.testing.assert_array_equal(found.times, TIMES)
    np.testing.assert_allclose(found.train.reshape(4, -1), expected, atol=1e-12)
    np.testing.assert_allclose(found.test.reshape(4, -1), expected_test, atol=1e-12)
    losses = ((expected - problem["targets"].ravel()) ** 2).sum(axis=1) / (2 * n * C)
    np.testing.assert_allclose(found.train_loss, losses, rtol=1e-9)
    assert losses[3] < losses[0] / 5


@pytest.mark.parametrize("loss", DYNAMICS_LOSSES)
def test_a_kernel_of_examples_alone_acts_on_each_output_alike(problem, loss):
    K, K_test = problem["kernel"][::C, ::C], problem["test_kernel"][::C, ::C]
    alone = predicted({**problem, "kernel": K, "test_kernel": K_test}, loss=loss, traced=False)
    K, K_test = np.kron(K, np.eye(C)), np.kron(K_test, np.eye(C))
    whole = predicted({**problem, "kernel": K, "test_kernel": K_test}, loss=loss)
    for one, other in zip(alone, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_a_traced_kernel_acts_by_its_mean_over_outputs(problem):
    summed, mean = (
        {
            name: reduced(problem[name].reshape(-1, C, n, C).diagonal(axis1=1, axis2=3), axis=2)
            for name in ("kernel", "test_kernel")
        }
        for reduced in (np.sum, np.mean)
    )
    traced = predicted({**problem, **summed}, traced=True)
    alone = predicted({**problem, **mean}, traced=False)
    for one, other in zip(traced, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_flow_of_the_cross_entropy_is_that_of_another_solver(problem):
    """df/dt = eta K (y - softmax(f)) / n: the loss is the mean over examples."""
    labels = np.array([0, 2, 1, 1, 0])
    y, both = np.eye(C)[labels], np.concatenate([problem["kernel"], problem["test_kernel"]])

    def flow(t, f):
        logits = f[: n * C].reshape(n, C)
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return 0.1 / n * both @ (y - softmax).ravel()

    start = np.concatenate([problem["outputs"].ravel(), problem["test_outputs"].ravel()])
    solved = scipy.integrate.solve_ivp(
        flow, (0, TIMES[-1]), start, "DOP853", TIMES, rtol=1e-11, atol=1e-11
    )
    found = predicted({**problem, "targets": labels}, loss="cross-entropy")
    outputs = np.concatenate([found.train.reshape(4, -1), found.test.reshape(4, -1)], axis=1)
    # The solver's tolerance of 1e-8 is for each of its steps.
    np.testing.assert_allclose(outputs, solved.y.T, atol=2e-6)
    picked = np.take_along_axis(found.train, labels[None, :, None], axis=2)[..., 0]
    losses = (np.log(np.exp(found.train).sum(axis=2)) - picked).mean(axis=1)
    np.testing.assert_allclose(found.train_loss, losses, rtol=1e-9)


def test_momentum_is_a_damped_oscillation(problem):
    """In s = sqrt(eta) t, z = f - y: z'' = -(1 - mu) / sqrt(eta) z' - K z / (n C)."""
    eta, mu, N = 0.1, 0.8, n * C
    found = predicted(problem, times=[0.5, 30.0], momentum=mu)
    z = (problem["outputs"] - problem["targets"]).ravel()
    K = problem["kernel"] / N
    generator = np.block([[np.zeros((N, N)), np.eye(N)], [-K, (mu - 1) / np.sqrt(eta) * np.eye(N)]])
    start = np.concatenate([z, np.zeros(N)])
    for t, outputs in zip(found.times, found.train, strict=True):
        moved = scipy.linalg.expm(generator * np.sqrt(eta) * t) @ start
        np.testing.assert_allclose(
            outputs.ravel(), problem["targets"].ravel() + moved[:N], atol=2e-6
        )


@pytest.mark.parametrize(("momentum", "error"), [(0.9, 2e-7), (0.99, 2e-6)])
def test_the_solver_is_as_exact_as_is_said(momentum, error):
    """Of one output alone that oscillates, z'' = -(1 - mu) / sqrt(eta) z' - K z, known by hand."""
    eta, K, times = 0.1, 9.0, np.array([1.0, 10.0, 100.0])
    found = ntk.linearized_predictions(
        np.array([[K]]), np.zeros((1, 1)), np.ones((1, 1)), times, learning_rate=eta,
        momentum=momentum,
    )  # fmt: skip
    damping = (1 - momentum) / np.sqrt(eta) / 2
    frequency, s = np.sqrt(K - damping**2), np.sqrt(eta) * times
    phase = np.cos(frequency * s) + damping / frequency * np.sin(frequency * s)
    off = np.abs(found.train[:, 0, 0] - np.exp(-damping * s) * phase).max()
    assert 1.4e-8 < off < error  # more than one step's


def test_a_loss_of_ones_own_is_not_divided_by_anything(problem):
    own = predicted(
        problem, loss=lambda f, y: jnp.sum((f - y) ** 2), learning_rate=0.1 / (2 * n * C)
    )
    known = predicted(problem)
    np.testing.assert_allclose(own.train, known.train, atol=1e-7)
    np.testing.assert_allclose(own.test, known.test, atol=1e-7)
    np.testing.assert_allclose(own.train_loss, 2 * n * C * known.train_loss, atol=1e-6)


def test_outputs_that_no_parameter_moves_stay(problem):
    K, K_test = problem["kernel"].copy(), problem["test_kernel"].copy()
    K[4], K[:, 4], K_test[:, 4] = 0, 0, 0
    found = predicted({**problem, "kernel": K, "test_kernel": K_test})
    still = found.train.reshape(4, -1)[:, 4]
    np.testing.assert_allclose(still, problem["outputs"].ravel()[4], rtol=1e-12)
    kept = np.delete(np.arange(n * C), 4)
    error = (problem["targets"] - problem["outputs"]).ravel()[kept]
    _, weights = learnt_by_modes(K[np.ix_(kept, kept)], error, TIMES, 0.1 / (n * C))
    expected = problem["test_outputs"].ravel() + weights @ K_test[:, kept].T
    np.testing.assert_allclose(found.test.reshape(4, -1), expected, atol=1e-12)


def test_directions_whose_eigenvalue_is_exactly_zero_are_not_learnt():
    K, K_test = np.diag([2.0, 0.0]), np.array([[1.0, 0.0]])
    found = ntk.linearized_predictions(
        K,
        np.ones((2, 1)),
        np.zeros((2, 1)),
        [3.0],
        learning_rate=1.0,
        test_kernel=K_test,
        test_outputs=np.zeros((1, 1)),
    )
    learnt = 1 - np.exp(-3.0)
    np.testing.assert_allclose(found.train[0, :, 0], [learnt, 0], atol=1e-15)
    np.testing.assert_allclose(found.test[0, :, 0], [learnt / 2], atol=1e-15)


@pytest.fixture(scope="module")
def network(tanh_mlp, digit_images):
    """A real network's kernels and outputs on nine images to train on and three others."""
    rows = jacobian.JacobianRows(tanh_mlp, (8, 8, 1), dtype="float64")
    train, test = digit_images[:9], digit_images[9:]
    outputs = np.asarray(tanh_mlp.apply_fn(tanh_mlp.params, digit_images))
    return {
        "kernel": ntk.empirical_kernel(rows, train),
        "outputs": outputs[:9],
        "test_kernel": ntk.empirical_kernel(rows, test, train),
        "test_outputs": outputs[9:],
    }


def trained(view, images, loss_fn, steps, eta, mu):
    """Outputs on all images after gradient descent on the first nine."""

    @jax.jit
    def run(params, images):
        gradient = jax.grad(lambda p: loss_fn(view.apply_fn(p, images[:9])))

        def step(_, carried):
            params, velocity = carried
            velocity = jax.tree.map(lambda v, g: mu * v - eta * g, velocity, gradient(params))
            return jax.tree.map(jnp.add, params, velocity), velocity

        still = jax.tree.map(jnp.zeros_like, params)
        return view.apply_fn(jax.lax.fori_loop(0, steps, step, (params, still))[0], images)

    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, "float64"), view.params)
        return np.asarray(run(params, jnp.asarray(images, "float64")))


LOSSES = {
    "squared": lambda f, y: jnp.sum((f - y) ** 2) / (2 * f.size),
    "cross-entropy": lambda f, y: -jnp.sum(y * jax.nn.log_softmax(f)) / len(f),
}


@pytest.mark.parametrize(
    ("loss", "momentum", "time"),
    [("squared", 0.0, 40.0), ("cross-entropy", 0.0, 40.0), ("squared", 0.5, 6.0)],
)
def test_training_the_linearised_network_approaches_the_prediction_as_steps_shrink(
    tanh_mlp, digit_images, digits, network, loss, momentum, time
):
    """The distance is of first order in the step: ten times smaller steps come ten times nearer."""
    labels = digits.labels[:9]
    y = np.eye(3)[labels]
    linear = ntk.linearized_view(tanh_mlp)

    def loss_fn(f):
        return LOSSES[loss](f, y)

    distances = []
    for shrink in (1, 10):
        # Friction is (1 - mu) / sqrt(eta) in time sqrt(eta) t: both are kept.
        eta = 0.1 / shrink ** (2 if momentum else 1)
        mu = 1 - (1 - momentum) / shrink if momentum else 0.0
        steps = round(time * shrink)
        found = ntk.linearized_predictions(
            **network,
            targets=labels,
            times=[steps],
            learning_rate=eta,
            loss=loss,
            momentum=mu,
        )
        outputs = trained(linear, digit_images, loss_fn, steps, eta, mu)
        moved = np.abs(found.test[0] - network["test_outputs"]).max()
        assert moved > 0.1
        predictions = np.concatenate([found.train[0], found.test[0]])
        distances.append(np.abs(outputs - predictions).max() / moved)
    assert distances[1] < 5e-3 if not momentum else distances[1] < 5e-2
    assert 7 < distances[0] / distances[1] < 14


def test_the_linearised_network_has_the_same_rows_wherever_its_parameters_are(
    tanh_mlp, digit_images
):
    linear, shape = ntk.linearized_view(tanh_mlp), digit_images.shape[1:]
    moved = jax.tree.map(lambda leaf: leaf + 0.3, linear.params)
    J, linear_J = (
        jacobian.JacobianRows((view.apply_fn, params), shape, dtype="float64")(digit_images[:4])
        for view, params in ((tanh_mlp, tanh_mlp.params), (linear, moved))
    )
    np.testing.assert_allclose(linear_J, J, atol=1e-13)
    at_start = linear.apply_fn(linear.params, digit_images)
    np.testing.assert_allclose(
        at_start, tanh_mlp.apply_fn(tanh_mlp.params, digit_images), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kernel": np.eye(7), "test_kernel": None},
            r"\(7, 7\), expected \(15, 15\) or \(5, 5\) for outputs",
        ),
        (
            {"kernel": np.eye(5), "test_kernel": None},
            r"\(5, 5\) for 3 outputs, which is ambiguous: pass traced=True",
        ),
        ({"traced": True}, r"\(15, 15\), expected \(5, 5\) as it is traced"),
        ({"kernel": np.full((15, 15), np.nan)}, "kernel holds NaN"),
        ({"kernel": np.eye(15) + np.eye(15, k=1)}, "kernel is not symmetric"),
        ({"test_kernel": np.full((6, 15), np.inf)}, "test_kernel holds NaN"),
        ({"loss": lambda f, y: jnp.sqrt(jnp.sum(f - f))}, "predictions holds NaN"),
        ({"test_outputs": None}, "needs both test_kernel and test_outputs"),
        ({"test_kernel": np.ones((2, 15))}, r"test_kernel has shape \(2, 15\), expected \(6, 15\)"),
        ({"targets": np.array([0, 1, 2, 3, 0])}, r"label 3 of image 3 is outside 0 .. 2"),
        ({"targets": np.full((5, 3), np.inf)}, "targets holds NaN or infinity"),
        ({"times": [0.0, 3.0, 3.0]}, "expected finite, increasing ones"),
        ({"times": [-1.0]}, "expected finite, increasing ones"),
        ({"times": []}, "expected finite, increasing ones"),
        ({"times": [1.0, np.inf]}, "expected finite, increasing ones"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"loss": "mae"}, r"unknown loss 'mae'; known: cross-entropy, squared"),
    ],
)
def test_bad_input_is_refused(problem, options, message):
    with pytest.raises(InputError, match=message):
        predicted(problem, **options)
