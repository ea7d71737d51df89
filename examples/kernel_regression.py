"""Predict test labels by kernel regression with the tangent kernel of a trained network."""

import jax
import numpy as np

from ntk_aug import data, models, ntk, training

train_set = data.draw_examples(0, data.load_dataset("digits", "train"), 300)
test_set = data.load_dataset("digits", "test")
network = models.build_network("mlp", num_classes=10, activation="tanh", width=64)
trained = training.train(network, train_set, training.TrainingConfig(epochs=20))
view = network.view(trained.params, trained.state)

train, test = data.unit_range(train_set.images), data.unit_range(test_set.images)
kernel = ntk.empirical_kernel(view, train, traced=True)  # K(X, X), [300, 300]
test_kernel = ntk.empirical_kernel(view, test, train, traced=True)  # K(X*, X), [359, 300]

# The network is at f(X) already, so the kernel fits what is left of the one-hot labels.
outputs, test_outputs = (np.asarray(view.apply_fn(view.params, x)) for x in (train, test))
residuals = np.asarray(jax.nn.one_hot(train_set.labels, 10)) - outputs
fit = ntk.kernel_regression(kernel, residuals, test_kernel=test_kernel, traced=True, ridge=1.0)


def accuracy(predictions):
    return (predictions.argmax(axis=1) == test_set.labels).mean()


print(f"kernels {kernel.shape} and {test_kernel.shape}")
print(f"test accuracy of the network             {accuracy(test_outputs):.3f}")
print(f"and with kernel regression on the rest   {accuracy(test_outputs + fit.test):.3f}")
