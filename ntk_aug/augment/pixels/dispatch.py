"""Applies one of several functions to each image of a batch, in one of three ways.

`vmap` of `lax.switch` computes every function for every image and keeps one. This is fast if small
kernels cost little more than their launch (GPUs, TPUs), but slow on a CPU, where a loop over images
computes only what is needed. `choose_by_image` is a switch for one image; under `vmap` it uses the
way that suits the backend. The pixels are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import jax
import jax.numpy as jnp

from ntk_aug.aliases import IntLike, PixelImage
from ntk_aug.augment.pixels.packing import Parameters
from ntk_aug.checks import check_choice

ImageFunction = Callable[[PixelImage, Parameters], PixelImage]

GROUP = 32
"""Number of images that "grouped" computes at once."""

BLOCK_VALUES = 2**22
"""Number of pixel values that "all" computes at once; they take 80 MiB at about 20 bytes each."""


def choose_by_image(
    functions: Sequence[ImageFunction], choice: IntLike, image: PixelImage, parameters: Parameters
) -> PixelImage:
    """Computes functions[choice](image, parameters), for one image or under `vmap`."""
    chosen = _switch(tuple(functions))
    return chosen(jnp.asarray(choice, jnp.int32), jnp.asarray(image), jnp.asarray(parameters))


def _switch(functions):
    @jax.custom_batching.custom_vmap
    def switch(choice, image, parameters):
        return jax.lax.switch(choice, functions, image, parameters)

    @switch.def_vmap
    def batched(size, is_batched, *arguments):
        return _batch(functions)(*_broadcast(size, is_batched, arguments)), True

    return switch


def _batch(functions):
    """The switch for arrays with a leading axis, into which further `vmap` axes are flattened."""

    @jax.custom_batching.custom_vmap
    def batch(choices, images, parameters):
        return DISPATCHES[_dispatch()](functions, choices, images, parameters)

    @batch.def_vmap
    def batched(size, is_batched, *arguments):
        arguments = _broadcast(size, is_batched, arguments)
        flat = [argument.reshape(-1, *argument.shape[2:]) for argument in arguments]
        return batch(*flat).reshape(arguments[1].shape), True

    return batch


def _broadcast(size, is_batched, arguments):
    return [
        argument if mapped else jnp.broadcast_to(argument, (size, *argument.shape))
        for argument, mapped in zip(arguments, is_batched, strict=True)
    ]


def _one_by_one(functions, choices, images, parameters):
    """Loops over the images and computes one function for each."""
    return jax.lax.map(
        lambda one: jax.lax.switch(one[0], functions, one[1], one[2]), (choices, images, parameters)
    )


def _all(functions, choices, images, parameters):
    """Computes every function for every image, up to BLOCK_VALUES values at once."""

    def choose(one):
        choice, image, own = one
        results = jnp.stack([function(image, own) for function in functions])
        return results[choice]

    block = max(1, BLOCK_VALUES * len(images) // images.size)
    if len(images) <= block:  # without a loop, a sharded batch stays sharded
        return jax.vmap(choose)((choices, images, parameters))
    return jax.lax.map(choose, (choices, images, parameters), batch_size=block)


def _grouped(functions, choices, images, parameters):
    """Sorts the images by function into blocks of GROUP, and computes one function per block.

    With c_k images of function k there are sum ceil(c_k / GROUP) blocks. Empty slots of a block
    repeat an image and are dropped.
    """
    n = len(choices)
    counts = jnp.zeros(len(functions), jnp.int32).at[choices].add(1)
    blocks = (counts + GROUP - 1) // GROUP
    last_block = jnp.cumsum(blocks)
    first_image = jnp.cumsum(counts) - counts
    order = jnp.argsort(choices, stable=True)

    def compute(number, result):
        function = jnp.searchsorted(last_block, number, side="right")
        number_of_function = number - (last_block[function] - blocks[function])
        place = number_of_function * GROUP + jnp.arange(GROUP)
        index = order[jnp.minimum(first_image[function] + place, n - 1)]
        block = jax.lax.switch(
            function, [jax.vmap(each) for each in functions], images[index], parameters[index]
        )
        kept = jnp.where(place < counts[function], index, n)  # n is out of range and dropped
        return result.at[kept].set(block, mode="drop")

    return jax.lax.fori_loop(0, last_block[-1], compute, jnp.zeros_like(images))


DISPATCHES = {"one-by-one": _one_by_one, "all": _all, "grouped": _grouped}
"""Ways to apply functions, by name; all give the same pixels."""

_forced: list[str] = []


@contextmanager
def use_dispatch(name: str) -> Iterator[None]:
    """Makes programs traced within the context use this dispatch, for measurements.

    Raises InputError if the name is unknown.
    """
    _forced.append(check_choice(name, DISPATCHES, "dispatch"))
    try:
        yield
    finally:
        _forced.pop()


def _dispatch() -> str:
    if _forced:
        return _forced[-1]
    return "one-by-one" if jax.default_backend() == "cpu" else "all"
