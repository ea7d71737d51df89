"""Select a weighted coreset of your own data, and train on it in your own optax loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

from ntk_aug import coreset, data, models

digits = load_digits()  # stands for your own arrays: images [n, h, w], labels [n]
images = (digits.images / 16).astype(np.float32)
train_set = data.Dataset.from_arrays(images[:1400], digits.target[:1400])
test_set = data.Dataset.from_arrays(images[1400:], digits.target[1400:])
module, optimizer = models.MLP(num_classes=10), optax.adam(0.003)
initial = module.init(jax.random.key(0), train_set.images[:1])


@jax.jit
def step(variables, state, images, labels, weights):
    def loss(variables):
        logits = module.apply(variables, images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return (weights * losses).mean()

    updates, state = optimizer.update(jax.grad(loss)(variables), state)
    return optax.apply_updates(variables, updates), state


def train(variables, indices, weights, steps):
    images, labels = train_set.images[indices], train_set.labels[indices]
    state = optimizer.init(variables)
    for _ in range(steps):
        variables, state = step(variables, state, images, labels, jnp.asarray(weights))
    return variables


def accuracy(variables):
    return (module.apply(variables, test_set.images).argmax(axis=1) == test_set.labels).mean()


# A short training on all examples gives the gradients that the selection compares.
everything = np.arange(len(train_set))
warm = train(initial, everything, np.ones(len(train_set)), steps=20)
examples = coreset.network_examples((module, warm), train_set)
for name in ("coreset", "random"):
    subset = coreset.select(jax.random.key(1), examples, name, fraction=0.05)
    error = coreset.gradient_error(examples.gradients, subset.indices, subset.weights)
    trained = train(warm, subset.indices, coreset.mean_one_weights(subset.weights), steps=200)
    print(
        f"{name}: {len(subset.indices)} examples, gradient error {error:.0f}, "
        f"test accuracy {accuracy(trained):.3f}"
    )
print(f"before: test accuracy {accuracy(warm):.3f}")
