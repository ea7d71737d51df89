from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import inner_products
from jax.flatten_util import ravel_pytree

from ntk_aug import coreset, data, losses, models, ntk
from ntk_aug.coreset.network_gradients import ExamplesProgram
from ntk_aug.errors import InputError

C, N = 3, 12
SOFT = np.random.default_rng(0).dirichlet(np.ones(C), N).astype(np.float32)
LAST = ("['output']['bias']", "['output']['kernel']")


class NNXNet(nnx.Module):
    """A convolution with BatchNorm, and a dense layer on the means of its channels."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.output = nnx.Linear(4, C, rngs=rngs)

    def __call__(self, images):
        return self.output(nnx.tanh(self.norm(self.conv(images))).mean(axis=(1, 2)))


NETWORKS = {
    "mlp": models.build_network("mlp", C, width=6, activation="tanh"),
    "resnet": models.build_network("resnet4", C),
    "nnx": models.nnx_network(NNXNet),
}


@pytest.fixture(scope="module")
def dataset(digits):
    """Digits as bytes, and a normalisation that shows."""
    images = np.uint8(np.rint(data.unit_range(digits.images) * 255))
    return replace(digits, images=images, mean=(0.3,), std=(0.5,))


def view_of(name, dataset):
    """A network at weights and statistics that are no longer 0 and 1."""
    network = NETWORKS[name]
    params, state = network.init(jax.random.key(0), data.unit_range(dataset.images[:1]))
    rng = np.random.default_rng(0)

    def move(leaf):
        return (leaf + 0.2 * rng.random(leaf.shape)).astype(np.float32)

    return network.view(jax.tree.map(move, params), jax.tree.map(move, state))


@pytest.fixture(scope="module")
def mlp(dataset):
    return view_of("mlp", dataset)


def expected_gradients(view, dataset, targets, loss):
    """Each image's gradient, raveled, by JAX in float64; and the columns of each parameter."""
    with jax.enable_x64(True):
        inputs = (dataset.images / 255 - dataset.mean[0]) / dataset.std[0]
        flat, unravel = ravel_pytree(jax.tree.map(jnp.float64, view.params))

        def loss_of(flat, image, target):
            logits = view.apply_fn(unravel(flat), image[None])[0]
            return losses.per_example_loss(loss)(logits, target)

        of_images = jax.vmap(jax.grad(loss_of), (None, 0, 0))
        gradients = of_images(flat, jnp.asarray(inputs), jnp.asarray(targets))
        numbers = jax.tree_util.tree_leaves_with_path(unravel(jnp.arange(flat.size, dtype=float)))
    names = [(jax.tree_util.keystr(path), np.ravel(leaf).astype(int)) for path, leaf in numbers]
    return np.asarray(gradients), {name.removesuffix(".value"): own for name, own in names}


@pytest.mark.parametrize(
    ("network", "loss", "soft"),
    [
        ("mlp", "cross-entropy", True),
        ("resnet", "cross-entropy", False),
        ("nnx", "squared", True),
        ("mlp", "squared", False),
    ],
)
def test_every_proxy_is_a_part_of_the_gradient_of_automatic_differentiation(
    dataset, network, loss, soft
):
    view = view_of(network, dataset)
    targets = SOFT if soft else dataset.labels
    gradients, columns = expected_gradients(view, dataset, targets, loss)
    bias, kernel = (columns[name] for name in LAST)
    parts = {
        "last-layer-logit": gradients[:, bias],
        "last-layer-weight": gradients[:, [*kernel, *bias]],
        "last-layer-weight-without-bias": gradients[:, kernel],
        "network": gradients,
    }
    for proxy, part in parts.items():
        examples = coreset.network_examples(
            view, dataset, proxy=proxy, loss=loss, soft_labels=SOFT if soft else None, batch_size=5
        )
        expected = part @ part.T
        found = inner_products(examples.gradients)
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=2e-5 * expected.max(), err_msg=proxy
        )
    np.testing.assert_allclose(
        examples.gradient_norms, np.linalg.norm(gradients, axis=1), rtol=1e-4, err_msg="norms"
    )
    np.testing.assert_allclose(examples.residuals, gradients[:, bias], rtol=0, atol=1e-5)


def test_a_projection_keeps_inner_products_on_average(mlp, dataset):
    def products(proxy, **options):
        return inner_products(
            coreset.network_examples(mlp, dataset, proxy=proxy, **options).gradients
        )

    exact, count, dimension = products("network"), 12, 32
    found = [
        products("network-projected", dimension=dimension, projection_key=jax.random.key(seed))
        for seed in range(count)
    ]
    norms = np.sqrt(np.diag(exact))
    bound = np.sqrt(2 / dimension) * np.outer(norms, norms)
    assert (np.abs(np.mean(found, axis=0) - exact) < 5 * bound / np.sqrt(count)).all()
    assert np.std(found, axis=0).max() > 0.1 * bound.min()
    again = products("network-projected", dimension=dimension, projection_key=jax.random.key(0))
    np.testing.assert_array_equal(again, found[0])


@pytest.mark.parametrize("proxy", coreset.PROXIES)
def test_gradients_do_not_depend_on_how_images_are_streamed(mlp, dataset, proxy, monkeypatch):
    options = {}
    if proxy == "network-projected":
        options = {"dimension": 8, "projection_key": jax.random.key(0)}
    whole = coreset.network_examples(mlp, dataset, proxy=proxy, **options)
    monkeypatch.setattr("ntk_aug.coreset.network_gradients._SPAN_IMAGES", 5)
    monkeypatch.setattr("ntk_aug.jacobian.rows._MAX_BLOCK_SIZE", 3)
    told = []
    parts = coreset.network_examples(
        mlp, dataset, proxy=proxy, batch_size=5, progress=lambda *x: told.append(x), **options
    )
    for a, b in [
        (parts.gradients.outer, whole.gradients.outer),
        (parts.gradient_norms[:, None], whole.gradient_norms[:, None]),
        (parts.logits, whole.logits),
    ]:
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    first = "gradients" if proxy.startswith("network") else "last layer"
    assert stages[:2] == ["logits" if proxy == "last-layer-logit" else first, "norms"]
    for stage in stages:
        done = [count for own, count, total in told if own == stage and total == N]
        assert done == sorted(set(done))
        assert done[-1] == N
        assert len(done) >= 3, stage


@pytest.mark.parametrize("proxy", ["last-layer-logit", "last-layer-weight"])
def test_other_weights_do_not_compile_again(mlp, dataset, proxy, caplog):
    program = ExamplesProgram(mlp.apply_fn, dataset, proxy=proxy, batch_size=5)
    changed = jax.tree.map(lambda leaf: 0.5 * leaf, mlp.params)
    compilations = []
    for params in (mlp.params, changed):
        caplog.clear()
        with jax.log_compiles(True):
            examples = program(params)
            _ = examples.gradients, examples.losses
        compilations.append([r.message for r in caplog.records if "XLA compilation" in r.message])
    assert compilations[0]
    assert compilations[1] == []
    expected = coreset.network_examples(mlp._replace(params=changed), dataset, proxy=proxy)
    for a, b in [
        (examples.logits, expected.logits),
        (inner_products(examples.gradients), inner_products(expected.gradients)),
    ]:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_last_layers_pass_gives_logits_too(mlp, dataset):
    told = []
    examples = coreset.network_examples(
        mlp, dataset, proxy="last-layer-weight", progress=lambda *x: told.append(x)
    )
    _ = examples.gradients, examples.losses, examples.take(np.arange(3)).logits
    assert told == [("last layer", N, N)]


def test_residuals_of_confident_predictions_are_those_of_float64(mlp, dataset):
    # In float32, softmax(f) - 1 of a logit that is ahead by 20 is zero.
    params = {**mlp.params, "output": jax.tree.map(lambda a: 0 * a, mlp.params["output"])}
    params["output"]["bias"] = jnp.array([20.0, 0.0, 0.0])
    labels = np.zeros(N, np.int32)
    examples = coreset.network_examples(
        mlp._replace(params=params), replace(dataset, labels=labels), proxy="last-layer-weight"
    )
    expected = np.array([-2, 1, 1]) * np.exp(-20) / (1 + 2 * np.exp(-20))
    np.testing.assert_allclose(examples.gradients.outer, np.tile(expected, (N, 1)), rtol=1e-6)


def test_what_is_added_after_a_relu_is_no_bias(dataset):
    def apply(params, images):
        hidden = jnp.tanh(images.reshape(len(images), -1) @ params["w"])
        return hidden + params["offset"]

    key = jax.random.key(0)
    params = {"w": jax.random.normal(key, (64, C)) / 8, "offset": jnp.ones(C)}
    view = models.ModelView(apply, params)
    gradients, columns = expected_gradients(view, dataset, dataset.labels, "squared")
    part = gradients[:, columns["['w']"]]
    for proxy in ("last-layer-weight", "last-layer-weight-without-bias"):
        examples = coreset.network_examples(view, dataset, proxy=proxy, loss="squared")
        found = inner_products(examples.gradients)
        np.testing.assert_allclose(found, part @ part.T, rtol=1e-4, atol=1e-4)


def test_a_trained_state_comes_in_with_the_variables(dataset):
    network = NETWORKS["resnet"]
    params, state = network.init(jax.random.key(0), data.unit_range(dataset.images[:1]))
    program = ExamplesProgram(
        lambda variables, images: network.apply(*variables, images, False, None)[0],
        dataset,
        proxy="last-layer-weight",
        view_of=lambda variables: network.view(*variables),
    )
    moved = jax.tree.map(lambda leaf: leaf + 0.5, state)
    found = program((params, moved))
    expected = coreset.network_examples(
        network.view(params, moved), dataset, proxy="last-layer-weight"
    )
    np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.gradient_norms, expected.gradient_norms, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxy": "weights"}, "unknown proxy 'weights'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"proxy": "network-projected"}, "needs dimension and projection_key"),
        ({"dimension": 5}, "a dimension is for proxy 'network-projected', not 'last-layer-logit'"),
        ({"layer": "['output']"}, "a layer is for the last-layer-weight proxies"),
        ({"soft_labels": SOFT[:5]}, r"soft labels has shape \(5, 3\), expected \(12, 3\)"),
        ({"soft_labels": 2 * SOFT}, "soft labels of example 0 sum to 2"),
        ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
        ({"mesh": jax.make_mesh((1, 1), ("a", "b"))}, "the mesh has axes .*, expected one"),
        (
            {"proxy": "network", "memory_bytes": 1000},
            r"12 gradients of 411 numbers need 3\.67e-05 GiB.*: take proxy 'network-projected'",
        ),
        (
            {
                "proxy": "network-projected",
                "dimension": 100,
                "projection_key": jax.random.key(0),
                "memory_bytes": 1000,
            },
            "12 gradients of 100 numbers .* take a smaller dimension",
        ),
        (
            {"proxy": "last-layer-weight", "layer": "['last']"},
            r"layer .* fits 0 dense layers, expected one of \['hidden'\]\['kernel'\], ",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused_before_any_work(mlp, dataset, options, message):
    with pytest.raises(InputError, match=message):
        coreset.network_examples(mlp, dataset, **options)


def test_a_network_of_other_outputs_is_refused(mlp, dataset):
    four = replace(dataset, class_names=(*dataset.class_names, "another"))
    with pytest.raises(InputError, match="has 3 outputs, expected one for each of the 4 classes"):
        coreset.network_examples(mlp, four)


def test_logits_that_are_not_finite_are_told(mlp, dataset):
    def apply_fn(params, images):
        logits = mlp.apply_fn(params, images)
        wrong = abs(images - (dataset.images[4] / 255 - 0.3) / 0.5).max(axis=(1, 2, 3)) < 1e-3
        return jnp.where(wrong[:, None], jnp.nan, logits)

    for proxy in ("last-layer-logit", "last-layer-weight"):
        examples = coreset.network_examples(mlp._replace(apply_fn=apply_fn), dataset, proxy=proxy)
        with pytest.raises(InputError, match=r"logits hold NaN or infinity in 1 .* example 4"):
            _ = examples.gradients


@pytest.mark.parametrize("proxy", ["network", "network-projected"])
def test_gradients_that_are_not_finite_are_told_by_their_place_among_all(
    dataset, proxy, monkeypatch
):
    def apply_fn(params, images):  # its derivative at zero is not a number
        return (
            jnp.linalg.norm(images.reshape(len(images), -1) @ params["in"], axis=1)[:, None]
            * (params["out"])
        )

    images = dataset.images.copy()
    images[8] = 0
    params = {"in": np.ones((64, 2), np.float32), "out": np.ones(C, np.float32)}
    monkeypatch.setattr("ntk_aug.coreset.network_gradients._SPAN_IMAGES", 5)
    monkeypatch.setattr("ntk_aug.jacobian.rows._MAX_BLOCK_SIZE", 3)
    options = {}
    if proxy == "network-projected":
        options = {"dimension": 8, "projection_key": jax.random.key(0)}
    examples = coreset.network_examples(
        models.ModelView(apply_fn, params),
        replace(dataset, images=images, mean=(0.0,)),
        proxy=proxy,
        **options,
    )
    for name in ("gradients", "gradient_norms"):
        with pytest.raises(InputError, match="the Jacobian of image 8 holds NaN or infinity"):
            getattr(examples, name)


@pytest.mark.parametrize(
    ("of_layer", "message"),
    [
        (lambda x: jnp.where(jnp.isnan(x), 0.0, x), "last layer's inputs hold NaN .* example 4"),
        (lambda x: jnp.sqrt(jnp.abs(x)), "last layer's gradients hold NaN .* example 4"),
    ],
)
def test_what_is_not_finite_about_the_last_layer_is_told(dataset, of_layer, message):
    images = dataset.images.copy()
    images[4] = 0

    def apply_fn(params, images):
        hidden = images.reshape(len(images), -1)
        if "inputs" in message:
            hidden = jnp.where(hidden.any(axis=1, keepdims=True), hidden, jnp.nan)
        return of_layer(hidden @ params["kernel"])

    params = {"kernel": np.random.default_rng(0).random((64, C)).astype(np.float32)}
    examples = coreset.network_examples(
        models.ModelView(apply_fn, params),
        replace(dataset, images=images, mean=(0.0,)),
        proxy="last-layer-weight",
    )
    assert np.isfinite(examples.logits).all()
    with pytest.raises(InputError, match=message):
        _ = examples.gradients


def test_whatever_makes_a_view_makes_examples(dataset):
    module = NNXNet(nnx.Rngs(0))
    module.eval()
    expected = module((data.unit_range(dataset.images) - 0.3) / 0.5)
    for network in (module, models.nnx_view(module), (lambda p, x: module(x), {"w": jnp.ones(1)})):
        found = coreset.network_examples(network, dataset).logits
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="the network is a Linen module MLP without its variables"):
        coreset.network_examples(models.MLP(3), dataset)
    linear = ntk.linearized_view(module)  # at its start it is the network
    inputs = (data.unit_range(dataset.images) - 0.3) / 0.5
    np.testing.assert_allclose(linear.apply_fn(linear.params, inputs), expected, rtol=1e-4)


def test_what_a_network_does_not_take_or_return_is_told(mlp, dataset):
    tokens = data.Dataset.from_arrays(np.arange(5 * N).reshape(N, 5), np.arange(N) % C)
    with pytest.raises(InputError, match=r"not take examples of int32 \(5,\): .*AttributeError"):
        coreset.network_examples((lambda p, x: x.text, mlp.params), tokens)
    with pytest.raises(InputError, match="returns a tuple of 2, expected logits"):
        coreset.network_examples((lambda p, x: (mlp.apply_fn(p, x), x), mlp.params), dataset)
