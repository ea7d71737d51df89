"""One of several functions to each image of a batch: three ways with the same pixels.

`vmap` of `lax.switch` computes every function for every image and keeps one. That is good where a
small kernel costs no more than its start (GPUs, TPUs), and bad on a CPU, where a loop over the
images computes only what is needed. `choose_by_image` is a switch for one image, and under
`vmap` becomes what suits the backend.
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
"""Images that "grouped" computes at once."""

BLOCK_VALUES = 2**22
"""Values of the images that "all" computes at once: at about 20 bytes each, 80 MiB."""


def choose_by_image(
    functions: Sequence[ImageFunction],
    choice: IntLike,
    image: PixelImage,
    parameters: Parameters,
) -> PixelImage:
    """functions[choice](image, parameters), for one image, or for each of many under `vmap`."""
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
    """The same for arrays with a leading axis; further axes of `vmap` are laid out along it."""

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
    """A loop over the images: one function to an image, memory for one image besides the batch."""
    return jax.lax.map(
        lambda one: jax.lax.switch(one[0], functions, one[1], one[2]), (choices, images, parameters)
    )


def _all(functions, choices, images, parameters):
    """Every function for every image, up to BLOCK_VALUES values at once."""

    def choose(one):
        choice, image, own = one
        results = jnp.stack([function(image, own) for function in functions])
        return results[choice]

    block = max(1, BLOCK_VALUES * len(images) // images.size)
    if len(images) <= block:  # no loop: a batch that is spread over devices stays so
        return jax.vmap(choose)((choices, images, parameters))
    return jax.lax.map(choose, (choices, images, parameters), batch_size=block)


def _grouped(functions, choices, images, parameters):
    """Images of one function next to each other, in blocks of GROUP, one function to a block.

    With c_k images of function k there are sum ceil(c_k / GROUP) blocks, at most n / GROUP and one
    for each function; empty places of a block repeat an image and are dropped.
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
        kept = jnp.where(place < counts[function], index, n)  # n is outside: dropped
        return result.at[kept].set(block, mode="drop")

    return jax.lax.fori_loop(0, last_block[-1], compute, jnp.zeros_like(images))


DISPATCHES = {"one-by-one": _one_by_one, "all": _all, "grouped": _grouped}
"""By name; all give the same pixels."""

_forced: list[str] = []


@contextmanager
def use_dispatch(name: str) -> Iterator[None]:
    """Programs that are traced within use this dispatch, not the backend's; for measurements.

    Raises:
      InputError: an unknown name.
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
