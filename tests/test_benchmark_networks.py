"""The networks of the comparison are the same in Flax as in PyTorch."""

import numpy as np
import pytest

from benchmarks import torch_networks
from ntk_aug import models

torch = pytest.importorskip("torch")


def test_the_mixer_is_the_same_in_flax_as_in_pytorch():
    torch.manual_seed(0)
    net = torch_networks.torch_mixer(3, tokens=4, channels=6).eval()
    view = models.linen_view(
        torch_networks.flax_mixer(3, channels=6), torch_networks.flax_mixer_variables(net)
    )
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("f4")
    with torch.no_grad():
        expected = net(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(view.apply_fn(view.params, images), expected, rtol=0, atol=2e-6)
