"""Measure what two augmentations do to the spectrum of your own Flax network."""

import flax.linen as nn
import jax
import optax

from ntk_aug import data, spectrum


class Net(nn.Module):
    @nn.compact
    def __call__(self, images):
        x = nn.tanh(nn.Conv(8, (3, 3), strides=2)(images))
        return nn.Dense(10)(x.reshape(len(x), -1))


digits = data.load_dataset("digits", "train")
images, labels = data.unit_range(digits.images), digits.labels

# Train it in your own way.
module, optimizer = Net(), optax.adam(0.01)
variables = module.init(jax.random.key(0), images[:1])
state = optimizer.init(variables)


@jax.jit
def step(variables, state):
    def loss(variables):
        logits = module.apply(variables, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    updates, state = optimizer.update(jax.grad(loss)(variables), state)
    return optax.apply_updates(variables, updates), state


for _ in range(100):
    variables, state = step(variables, state)
accuracy = (module.apply(variables, images).argmax(axis=1) == labels).mean()
print(f"accuracy {accuracy:.3f}")

# Sixty images and ten outputs: 600 singular values, in bins from large to small.
study = spectrum.study_spectrum(
    0, (module, variables), images[:60], ["noise:0.5", "flip-crop"], draws=3, num_bins=10
)
for found in spectrum.summarize_study(study):
    change, angle = found.bins["relative_difference"].mean, found.bins["left_angle"].mean
    print(
        f"{found.name}: largest singular values {100 * change[0]:+.1f} %, "
        f"smallest {100 * change[-1]:+.1f} %; their directions turn by {angle[0]:.0f} and "
        f"{angle[-1]:.0f} degrees"
    )
