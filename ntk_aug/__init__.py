"""What data augmentation does to a neural network, measured exactly.

The library answers its question through the network's Jacobian J (rows: outputs of images,
columns: parameters) and its neural tangent kernel K = J J': their singular values and subspaces
on plain and on augmented images. Use it by sub-package::

    from ntk_aug import augment, coreset, data, jacobian, models, ntk, spectrum, training
"""

from ntk_aug.compiler import warn_of_wrong_compiler

__version__ = "0.1.0"

warn_of_wrong_compiler()
