"""The networks of the comparison in PyTorch, with our weights; tests use them, too."""

import jax
import numpy as np


def torch_mlp(num_classes, inputs=784, width=512):
    """A network with one hidden layer; images are flattened from [n, c, h, w]."""
    from torch import nn

    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, num_classes)
    )


def torch_resnet(num_classes, blocks, channels, filters=16):
    """The network of He et al. 2016 (section 4.2, option A) as it is usually written in PyTorch."""
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.stride, self.extra = stride, after - before
            self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            self.conv2 = nn.Conv2d(after, after, 3, 1, padding=1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)

        def forward(self, x):
            y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
            half = self.extra // 2
            shortcut = x[:, :, :: self.stride, :: self.stride]
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, half, self.extra - half))
            return (y + shortcut).relu()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(filters)
            before = filters
            self.blocks = nn.ModuleList()
            for stage in range(3):
                for block in range(blocks):
                    after = filters * 2**stage
                    self.blocks.append(Block(before, after, 1 + (stage > 0 and block == 0)))
                    before = after
            self.linear = nn.Linear(before, num_classes)

        def forward(self, x):
            x = self.norm(self.conv(x)).relu()
            for block in self.blocks:
                x = block(x)
            return self.linear(x.mean(dim=(2, 3)))

    return Net()


def flax_variables(net):
    """A ResNet's weights and statistics under the names and in the layout of Flax."""

    def conv(module):
        return {"kernel": module.weight.detach().numpy().transpose(2, 3, 1, 0)}

    def norm(module):
        return {"scale": module.weight.detach().numpy(), "bias": module.bias.detach().numpy()}

    def statistics(module):
        return {"mean": module.running_mean.numpy(), "var": module.running_var.numpy()}

    params = {
        "stem": conv(net.conv),
        "stem_norm": norm(net.norm),
        "output": _dense(net.linear),
    }
    batch_stats = {"stem_norm": statistics(net.norm)}
    for i, block in enumerate(net.blocks):
        params[f"ResidualBlock_{i}"] = {
            "Conv_0": conv(block.conv1),
            "Conv_1": conv(block.conv2),
            "BatchNorm_0": norm(block.norm1),
            "BatchNorm_1": norm(block.norm2),
        }
        batch_stats[f"ResidualBlock_{i}"] = {
            "BatchNorm_0": statistics(block.norm1),
            "BatchNorm_1": statistics(block.norm2),
        }
    # A copy: PyTorch updates its own arrays in place.
    return jax.tree.map(np.array, {"params": params, "batch_stats": batch_stats})


def flax_mlp_variables(net):
    """An MLP's weights under the names and in the layout of Flax."""
    _, hidden, _, output = net
    params = {"hidden": _dense(hidden), "output": _dense(output)}
    return jax.tree.map(np.array, {"params": params})


TOKENS, CHANNELS = 64, 64


def flax_mixer(num_classes, channels=CHANNELS):
    """One MLP-Mixer block (Tolstikhin et al. 2021) on patches of 4 x 4 pixels, in Flax.

    Parameters of the patches and channels are shared over positions, those that mix positions over
    channels.
    """
    import flax.linen as nn

    def mlp(x, name):
        hidden = nn.Dense(2 * x.shape[-1], name=f"{name}_in")(x)
        return nn.Dense(x.shape[-1], name=f"{name}_out")(nn.gelu(hidden, approximate=False))

    class Mixer(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Conv(channels, (4, 4), (4, 4), name="patches")(x)
            x = x.reshape(len(x), -1, channels)
            mixed = nn.LayerNorm(epsilon=1e-5, name="norm_tokens")(x).swapaxes(1, 2)
            x = x + mlp(mixed, "tokens").swapaxes(1, 2)
            x = x + mlp(nn.LayerNorm(epsilon=1e-5, name="norm_channels")(x), "channels")
            return nn.Dense(num_classes, name="output")(x.mean(axis=1))

    return Mixer()


def torch_mixer(num_classes, tokens=TOKENS, channels=CHANNELS, colours=3):
    """The same block in PyTorch; GELU is the exact one in both."""
    from torch import nn

    def mlp(width):
        return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(colours, channels, 4, 4)
            self.norm_tokens, self.norm_channels = nn.LayerNorm(channels), nn.LayerNorm(channels)
            self.tokens, self.channels = mlp(tokens), mlp(channels)
            self.output = nn.Linear(channels, num_classes)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = x + self.tokens(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
            x = x + self.channels(self.norm_channels(x))
            return self.output(x.mean(dim=1))

    return Mixer()


def flax_mixer_variables(net):
    """A Mixer's weights under the names and in the layout of Flax."""

    def norm(module):
        return {"scale": module.weight.detach().numpy(), "bias": module.bias.detach().numpy()}

    patches = {
        "kernel": net.patches.weight.detach().numpy().transpose(2, 3, 1, 0),
        "bias": net.patches.bias.detach().numpy(),
    }
    params = {
        "patches": patches,
        "norm_tokens": norm(net.norm_tokens),
        "norm_channels": norm(net.norm_channels),
        "tokens_in": _dense(net.tokens[0]),
        "tokens_out": _dense(net.tokens[2]),
        "channels_in": _dense(net.channels[0]),
        "channels_out": _dense(net.channels[2]),
        "output": _dense(net.output),
    }
    return jax.tree.map(np.array, {"params": params})


def _dense(module):
    return {"kernel": module.weight.detach().numpy().T, "bias": module.bias.detach().numpy()}
