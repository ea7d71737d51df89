import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.torch_networks import flax_variables, torch_resnet
from ntk_aug import models
from ntk_aug.models import CifarResNet
from ntk_aug.models.network import num_params

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)


def shapes(module, image_shape=(32, 32, 3)):
    """Variables of a network as shapes: nothing is computed."""
    return jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *image_shape)))


@pytest.mark.parametrize(
    ("blocks", "depth", "count"),
    [(3, 20, 269_722), (5, 32, 464_154), (7, 44, 658_586), (9, 56, 853_018)],
)
def test_the_number_of_parameters_is_that_of_the_published_network(blocks, depth, count):
    module = CifarResNet(10, (blocks,) * 3)
    assert num_params(shapes(module)["params"]) == count
    assert 2 * sum(module.stage_sizes) + 2 == depth


def test_resnet20_by_name_is_the_published_one():
    network = models.build_network("resnet20", 10)
    params, _ = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert num_params(params) == 269_722


@pytest.mark.parametrize("size", [32, 28, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_and_number_of_channels_become_logits(size, channels):
    module = CifarResNet(10, (1, 1, 1))
    images = jnp.zeros((5, size, size + 1, channels))
    variables = shapes(module, images.shape[1:])
    logits = jax.eval_shape(module.apply, variables, images)
    assert (logits.shape, logits.dtype) == ((5, 10), np.float32)
    assert variables["params"]["stem"]["kernel"].shape == (3, 3, channels, 16)


def test_stages_halve_the_image_and_double_the_filters():
    module = CifarResNet(10, (1, 1, 1), filters=4)
    _, captured = jax.eval_shape(
        lambda variables, images: module.apply(variables, images, capture_intermediates=True),
        shapes(module),
        jnp.zeros((2, 32, 32, 3)),
    )
    blocks = [
        captured["intermediates"][f"ResidualBlock_{i}"]["__call__"][0].shape for i in range(3)
    ]
    assert blocks == [(2, 32, 32, 4), (2, 16, 16, 8), (2, 8, 8, 16)]


@pytest.fixture(scope="module")
def initial():
    return jax.jit(CifarResNet(10, (1,), filters=48).init)(jax.random.key(0), IMAGES)


def test_initial_weights_have_the_variance_of_he(initial):
    # Normal with variance 2 / fan-in; a truncated normal would end at two standard deviations.
    block = initial["params"]["ResidualBlock_0"]
    for layer in (initial["params"]["stem"], block["Conv_0"], block["Conv_1"]):
        kernel = np.asarray(layer["kernel"])
        relative = kernel.ravel() * np.sqrt(np.prod(kernel.shape[:3]) / 2)
        # The variance of a normal sample of size m has the standard error sqrt(2 / m).
        assert abs(relative.var() - 1) < 5 * np.sqrt(2 / kernel.size)
        assert np.abs(relative).max() > 2.5


def test_convolutions_have_no_bias_and_the_norms_start_neutral(initial):
    leaves = jax.tree_util.tree_leaves_with_path(initial)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    assert not [name for name in names if ("Conv" in name or "'stem'" in name) and "bias" in name]
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if "Norm" in name or "norm" in name:
            neutral = 1 if "scale" in name or "var" in name else 0
            assert (np.asarray(leaf) == neutral).all(), name


# Against PyTorch


def random_torch_resnet(blocks, channels=3):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch_resnet(10, blocks, channels)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.3)
                module.running_mean.normal_(std=0.5)
                module.running_var.uniform_(0.5, 2.0)
    return torch, net


@pytest.fixture(scope="module")
def compared_in_training():
    """Logits and variables after a step of training mode: of Flax, and of PyTorch."""
    torch, net = random_torch_resnet(1)
    before = flax_variables(net)
    logits, updated = jax.jit(
        lambda v, x: CifarResNet(10, (1, 1, 1)).apply(v, x, True, mutable=["batch_stats"])
    )(before, IMAGES)
    net.train()
    expected = net(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())).detach().numpy()
    return logits, expected, before, updated["batch_stats"], flax_variables(net)["batch_stats"]


@pytest.mark.parametrize("blocks", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_evaluation_is_that_of_pytorch(blocks):
    torch, net = random_torch_resnet(blocks)
    net.eval()
    # An odd height too: where a stage halves it, both round up.
    for images in (IMAGES, np.random.default_rng(1).normal(size=(2, 9, 8, 3)).astype(np.float32)):
        with torch.no_grad():
            expected = net(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
        logits = jax.jit(CifarResNet(10, (blocks,) * 3).apply)(flax_variables(net), images)
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_training_mode_gives_the_logits_of_pytorch(compared_in_training):
    logits, expected, *_ = compared_in_training
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_training_mode_updates_the_mean_as_pytorch_does(compared_in_training):
    _, _, before, after, expected = compared_in_training
    for path, mean in leaves_named("mean", after):
        np.testing.assert_allclose(mean, at(expected, path), rtol=1e-4, atol=1e-5)
        assert not np.allclose(mean, at(before["batch_stats"], path), atol=1e-3)


def test_training_mode_updates_the_variance_as_pytorch_does_but_for_its_bias(compared_in_training):
    # PyTorch divides by m - 1 for the running variance, Flax by m: the m values of a channel are
    # all pixels of the batch. new = 0.9 old + 0.1 batch in both.
    _, _, before, after, expected = compared_in_training
    pixels = {"stem_norm": 8 * 8, "ResidualBlock_0": 8 * 8, "ResidualBlock_1": 16}
    for path, variance in leaves_named("var", after):
        m = len(IMAGES) * pixels.get(path[0].key, 4)
        old = at(before["batch_stats"], path)
        biased = 0.9 * old + (at(expected, path) - 0.9 * old) * (m - 1) / m
        np.testing.assert_allclose(variance, biased, rtol=1e-4, atol=1e-5)


def leaves_named(name, tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    found = [(path, np.asarray(leaf)) for path, leaf in leaves if path[-1].key == name]
    assert len(found) == 7  # the stem, and two in each of three blocks
    return found


def at(tree, path):
    for part in path:
        tree = tree[part.key]
    return tree
