"""Augment by AutoAugment inside of your own jitted training step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ntk_aug import augment, data, models

digits, test = (data.load_dataset("digits", split) for split in ("train", "test"))
images, labels = data.unit_range(digits.images), digits.labels
augmentation = augment.build_augmentation("weak-digits+autoaugment-svhn")
module, optimizer = models.MLP(num_classes=10), optax.adam(0.003)
key = jax.random.key(0)  # of the whole run


@jax.jit
def step(variables, state, indices, epoch):
    # The key of an example is made from its place in the data set and from the epoch, so a batch
    # of another size, or a run that was stopped, gives it the same pixels.
    augmented = augment.augment_batch(augmentation, key, images[indices], indices, epoch=epoch)
    batch = jnp.concatenate([images[indices], augmented])

    def loss(variables):
        logits = module.apply(variables, batch)
        twice = jnp.tile(labels[indices], 2)
        return optax.softmax_cross_entropy_with_integer_labels(logits, twice).mean()

    value, gradient = jax.value_and_grad(loss)(variables)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, updates), state, value


images, labels = jnp.asarray(images), jnp.asarray(labels)
variables = module.init(jax.random.key(1), images[:1])
state, order = optimizer.init(variables), np.random.default_rng(0)
for epoch in range(15):
    for indices in order.permutation(len(images))[: 11 * 128].reshape(11, 128):
        variables, state, value = step(variables, state, indices, epoch)
    if epoch % 5 == 4:
        logits = module.apply(variables, data.unit_range(test.images))
        accuracy = (logits.argmax(axis=1) == test.labels).mean()
        print(f"epoch {epoch + 1}: loss {value:.2f}, test accuracy {accuracy:.3f}")
