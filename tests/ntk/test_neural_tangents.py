import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import augment, data, jacobian, models, ntk
from ntk_aug.errors import InputError
from ntk_aug.ntk.neural_tangents import kernels as backend
from ntk_aug.ntk.neural_tangents.blocks import NEURAL_TANGENTS_IMPLEMENTATIONS

# What a float32 or float64 kernel may differ by from the exact one, of its largest entry.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(scope="module")
def images(digit_images):
    """Five images: blocks of two do not divide them."""
    return digit_images[:5]


@pytest.fixture(scope="module")
def rotated(images):
    rotation = augment.build_augmentation("rotation:30")
    return np.asarray(augment.augment_batch(rotation, jax.random.key(1), images, np.arange(5)))


def smooth_view(layers, images):
    """Layers in a row, with parameters that leave no scale at one and no offset at zero."""
    module = nn.Sequential(layers)
    params = module.init(jax.random.key(4), images)["params"]
    return models.ModelView(
        lambda params, x: module.apply({"params": params}, x),
        jax.tree.map(lambda leaf: leaf + 0.2, params),
    )


@pytest.fixture(scope="module")
def views(tanh_mlp, small_resnet, images):
    flatten = [lambda x: x.reshape(len(x), -1), nn.Dense(3)]
    convolutions = [nn.Conv(3, (3, 3)), jnp.tanh, nn.Conv(2, (3, 2), strides=2, padding="VALID")]
    norms = [nn.Conv(4, (3, 3), strides=2), nn.GroupNorm(2), jnp.tanh, nn.LayerNorm()]
    return {
        "mlp": tanh_mlp,
        "resnet": small_resnet,
        "convolutions": smooth_view([*convolutions, *flatten], images),
        "group and layer norm": smooth_view([*norms, *flatten], images),
    }


@pytest.fixture(scope="module")
def exact_rows(views, images, rotated):
    """By network: J and J~, differentiated in float64."""
    rows = {}
    for name, view in views.items():
        compute = jacobian.JacobianRows(view, images.shape[1:], dtype="float64", block_size=5)
        rows[name] = compute(images), compute(rotated)
    return rows


def images_at_a_kink(view, images, monkeypatch, distance=1e-5):
    """Places of the images for which float32 may round a ReLU's input to its other side.

    An input that is exactly 0, as in the black margin of a digit, is so in every precision.
    """
    inputs = []

    def relu(x):
        inputs.append(np.abs(np.asarray(x)).reshape(len(images), -1))
        return jax.nn.relu(x)

    with monkeypatch.context() as patch, jax.enable_x64(True):
        patch.setattr(nn, "relu", relu)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, "float64"), view.params)
        view.apply_fn(params, jnp.asarray(images, "float64"))
    if not inputs:
        return []
    inputs = np.concatenate(inputs, axis=1)
    return np.flatnonzero(((inputs > 0) & (inputs < distance)).any(axis=1)).tolist()


def largest_difference(kernel, expected):
    return np.abs(kernel - expected).max() / np.abs(expected).max()


def block_kernels(view, images, version, labels=None, **options):
    return next(ntk_triples(view, images, [version], labels, **options))


def ntk_triples(view, images, versions, labels=None, **options):
    return backend.neural_tangents_triples(
        view, images, versions, labels, **{"batch_size": 2, **options}
    )


def check_kernels(view, images, version, rows, dtype, implementation, monkeypatch, **options):
    """All three agree with the products of these rows, but for named images at a kink."""
    near = images_at_a_kink(view, images, monkeypatch), images_at_a_kink(view, version, monkeypatch)
    left_out = near if dtype == "float32" else ([], [])
    assert max(map(len, left_out)) <= len(images) // 3, f"images at a kink: {left_out}"
    kept = []
    for places in left_out:
        images_kept = np.setdiff1d(np.arange(len(images)), places)
        kept.append((images_kept[:, None] * 3 + np.arange(3)).ravel())
    J, J_aug = rows[0][kept[0]], rows[1][kept[1]]
    triple = block_kernels(
        view, images, version, dtype=dtype, implementation=implementation, **options
    )
    for kernel, a, b, expected in (
        (triple.plain, 0, 0, J @ J.T),
        (triple.cross, 0, 1, J @ J_aug.T),
        (triple.augmented, 1, 1, J_aug @ J_aug.T),
    ):
        difference = largest_difference(kernel[np.ix_(kept[a], kept[b])], expected)
        assert difference <= TOLERANCE[dtype], f"left out, by place: {left_out}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "implementation"),
    [
        ("mlp", "structured-derivatives"),
        ("mlp", "jacobian-contraction"),
        ("mlp", "ntk-vector-products"),
        ("mlp", "auto"),
        ("resnet", "structured-derivatives"),
        ("resnet", "jacobian-contraction"),
        ("resnet", "ntk-vector-products"),
        pytest.param("resnet", "auto", marks=pytest.mark.slow),
        ("convolutions", "structured-derivatives"),
        ("group and layer norm", "structured-derivatives"),
    ],
)
def test_every_implementation_agrees_with_the_product_of_float64_rows(
    views, images, rotated, exact_rows, name, implementation, dtype, monkeypatch
):
    check_kernels(
        views[name], images, rotated, exact_rows[name], dtype, implementation, monkeypatch
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("implementation", NEURAL_TANGENTS_IMPLEMENTATIONS)
def test_sixty_images_agree_with_the_product_of_float64_rows(
    small_resnet, implementation, dtype, monkeypatch
):
    three = data.select_classes(data.load_dataset("digits", "train"), ["0", "1", "2"])
    images = np.asarray(data.unit_range(data.draw_examples(jax.random.key(2), three, 60).images))
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    compute = jacobian.JacobianRows(small_resnet, images.shape[1:], dtype="float64")
    rows = compute(images), compute(mirrored)
    check_kernels(
        small_resnet, images, mirrored, rows, dtype, implementation, monkeypatch, batch_size=25
    )


def test_kernels_agree_with_those_of_our_own_rows(views, images, rotated):
    view = views["mlp"]
    rows = jacobian.JacobianRows(view, images.shape[1:])
    ours = ntk.kernel_triples(rows, images, [rotated, images])
    theirs = list(ntk_triples(view, images, [rotated, images]))
    for triple, expected in zip(theirs, ours, strict=True):
        for kernel, other in zip(triple, expected, strict=True):
            assert kernel.dtype == np.float64
            assert largest_difference(kernel, other) <= TOLERANCE["float32"]
    assert theirs[0].plain is theirs[1].plain
    alone = backend.neural_tangents_kernel(view, images, batch_size=2)
    np.testing.assert_array_equal(alone, theirs[0].plain)


def test_a_unit_at_a_kink_is_found(small_resnet, images, monkeypatch):
    # The norm after the stem has statistics (0, 1): its offset moves the ReLU's input by as much.
    inputs = nn.Conv(16, (3, 3), padding=1, use_bias=False).apply(
        {"params": small_resnet.params["stem"]}, images
    ) / np.sqrt(1 + 1e-5)
    offset = jnp.zeros(16).at[4].set(3e-6 - inputs[3, 4, 4, 4])
    norm = {**small_resnet.params["stem_norm"], "bias": offset}
    moved = small_resnet._replace(params={**small_resnet.params, "stem_norm": norm})
    assert 3 in images_at_a_kink(moved, images, monkeypatch)


@pytest.mark.parametrize("rows", jacobian.ROWS)
def test_each_kind_of_rows_agrees_with_its_float64_rows(views, images, rotated, digits, rows):
    view, labels = views["mlp"], digits.labels[:5]
    compute = jacobian.JacobianRows(view, images.shape[1:], rows=rows, dtype="float64")
    J, J_aug = compute(images, labels), compute(rotated, labels)
    triple = block_kernels(view, images, rotated, labels, rows=rows, dtype="float64")
    for kernel, expected in zip(triple, (J @ J.T, J @ J_aug.T, J_aug @ J_aug.T), strict=True):
        assert largest_difference(kernel, expected) <= TOLERANCE["float64"]


def test_symmetric_kernels_are_symmetric_to_the_last_bit(views, images, rotated):
    # Of the implementations, this one rounds [i, j] and [j, i] differently for this network.
    triple = block_kernels(views["mlp"], images, rotated, implementation="ntk-vector-products")
    np.testing.assert_array_equal(triple.plain, triple.plain.T)
    np.testing.assert_array_equal(triple.augmented, triple.augmented.T)


# Indexing, a solve and a checkpoint have no rule there, and go through their transposes.
@pytest.mark.filterwarnings("ignore:No Jacobian rule found:UserWarning")
def test_structured_derivatives_go_through_operations_without_a_rule(images, rotated):
    def apply_fn(params, x):
        weights = jnp.linalg.qr(params["a"])[0][:, 1:4] * params["scale"]
        hidden = jax.checkpoint(lambda w: jnp.tanh(x.reshape(len(x), -1) @ w))(weights)
        return hidden + params["offset"][2:5]

    key = jax.random.key(3)
    params = {
        "a": jax.random.normal(key, (64, 6)),
        "scale": jnp.ones(3),
        "offset": jnp.arange(8.0),
    }
    view = models.ModelView(apply_fn, params)
    J = jacobian.JacobianRows((apply_fn, params), images.shape[1:], dtype="float64")(images)
    triple = block_kernels(view, images, rotated, dtype="float64")
    assert largest_difference(triple.plain, J @ J.T) <= TOLERANCE["float64"]


def test_structured_derivatives_see_through_jit_and_unused_parts(views, images, rotated):
    # A warning that there is no rule for the jitted function would fail the test.
    @jax.jit
    def apply_fn(params, x):
        logits = views["mlp"].apply_fn(params, x)
        return jnp.stack([logits, jnp.tanh(logits) * logits])[0]

    view = views["mlp"]._replace(apply_fn=apply_fn)
    triple = block_kernels(view, images, rotated, dtype="float64")
    expected = block_kernels(views["mlp"], images, rotated, dtype="float64")
    assert largest_difference(triple.plain, expected.plain) <= TOLERANCE["float64"]


def test_the_automatic_choice_prints_nothing(views, images, capsys):
    # Blocks of a size that no other test has: the choice is made anew for each shape.
    next(ntk_triples(views["mlp"], images, [images], implementation="auto", batch_size=3))
    assert capsys.readouterr().out == ""


def test_an_estimate_counts_the_blocks_and_compiles_for_the_run(views, images, rotated):
    calls, reports = [], []

    def apply_fn(params, x):
        calls.append(x.shape)
        return views["mlp"].apply_fn(params, x)

    view = views["mlp"]._replace(apply_fn=apply_fn)
    estimate = backend.estimate_neural_tangents(
        (apply_fn, view.params), images, versions=2, batch_size=2
    )
    traced = len(calls)
    list(ntk_triples(view, images, [rotated, images], progress=lambda *x: reports.append(x)))
    # Three blocks a side: 6 of K, then 9 of M and 6 of K~ for each version.
    assert [report[1:] for report in reports] == [
        *((done, 21) for done in range(1, 22)),
        *((done, 15) for done in range(1, 16)),
    ]
    assert estimate.num_blocks == len(reports)
    assert estimate.seconds == estimate.num_blocks * estimate.block_seconds > 0
    # The number of outputs is looked up without a trace of the program.
    assert len(calls) == traced + 1


def test_a_network_that_an_implementation_cannot_take_is_refused_with_those_that_can(images):
    def gated(params, x):
        left, right = jnp.split(x.reshape(len(x), -1) @ params, 2, axis=1)
        return left * jax.nn.sigmoid(right)

    view = models.ModelView(gated, jnp.ones((64, 4)))
    with pytest.raises(
        InputError,
        match=r"multiple outputs .*; use jacobian-contraction, ntk-vector-products, our own",
    ):
        next(ntk_triples(view, images, [images]))
    assert next(ntk_triples(view, images, [images], implementation="ntk-vector-products"))


def test_bad_input_is_refused(views, images):
    view = views["mlp"]
    with pytest.raises(InputError, match=r"unknown implementation 'autos' \(did you mean 'auto'"):
        next(ntk_triples(view, images, [images], implementation="autos"))
    with pytest.raises(InputError, match=r"need labels, but none are given"):
        next(ntk_triples(view, images, [images], rows="true-logit"))
    with pytest.raises(InputError, match=r"\(3, 8, 8, 1\), expected \(5, 8, 8, 1\)"):
        next(ntk_triples(view, images, iter([images[:3]])))
    infinite = view._replace(
        apply_fn=lambda params, x: view.apply_fn(params, x) / (x[:, 0, 0] != 0.25)
    )
    bad = images.copy()
    bad[3, 0, 0] = 0.25
    with pytest.raises(InputError, match="the kernel of image 3 holds NaN or infinity"):
        next(ntk_triples(infinite, bad, [images]))
