"""Kernels block by block: the loop that one kernel and kernel triples share."""

from collections.abc import Callable, Iterator, Sequence

from ntk_aug.aliases import Progress
from ntk_aug.jacobian.row_factors import RowFactors
from ntk_aug.ntk.block_store import Block, BlockStore

# Images per side of a kept block; an interruption loses at most one block.
_KEPT_SIDE = 256

Rows = Sequence[RowFactors]


def tile_pairs(
    n: int, m: int, tile: int, streaming: int, *, symmetric: bool
) -> list[tuple[slice, slice]]:
    """The pairs (images whose rows are held, images that they are multiplied with).

    For a symmetric kernel, only pairs at and above the diagonal; a tile is paired with itself
    first.
    """
    pairs = []
    for start in range(0, n, tile):
        held = slice(start, min(start + tile, n))
        if symmetric:
            pairs.append((held, held))
        first = held.stop if symmetric else 0
        if first < m:
            pairs += [(held, part) for part in _parts(slice(first, m), streaming)]
    return pairs


def images_computed(pairs: Sequence[tuple[slice, slice]], *, symmetric: bool) -> int:
    """How often rows of an image are computed, in total.

    Rows stay until the next tile replaces them; held and passing tiles are kept separately.
    """
    held = [a for a, _ in pairs]
    passing = [b for a, b in pairs if not (symmetric and a == b)]
    return sum(
        span.stop - span.start
        for spans in (held, passing)
        for span, last in zip(spans, [None, *spans], strict=False)
        if span != last
    )


def kernel_blocks(
    pairs: Sequence[tuple[slice, slice]],
    held: Callable[[slice], Rows],
    passing: Callable[[slice], Rows],
    products: Callable[..., Block],
    finished: BlockStore,
    *,
    symmetric: bool,
    progress: Progress | None,
) -> Iterator[tuple[slice, slice, Block]]:
    """Yields (images a, images b, the products of their rows) for `tile_pairs`.

    Finished blocks are loaded. Otherwise `held` and `passing` map images to their rows in each set,
    kept until the next call, and `products` maps (a, b, their rows, their rows, callback for the
    share done) to the entries of the kernels. `symmetric` says that both are rows of the same sets.
    `progress` is called with ("kernel", entries done, total), in images x images.
    """
    total = sum(_entries(a, b, symmetric) for a, b in pairs)
    done = 0

    def advance(a, b, share=1.0):
        if progress:
            progress("kernel", done + int(share * _entries(a, b, symmetric)), total)

    for span, other in pairs:
        itself = symmetric and span == other
        sides = [_parts(part, finished.folder and _KEPT_SIDE) for part in (span, other)]
        blocks = [(a, b) for a in sides[0] for b in sides[1] if not itself or a.start <= b.start]
        missing = []
        for a, b in blocks:
            block = finished.find(a, b)
            if block is None:
                missing.append((a, b))
                continue
            advance(a, b)
            done += _entries(a, b, symmetric)
            yield a, b, block
        if not missing:
            continue
        A = held(span)
        B = A if itself else passing(other)
        for a, b in missing:
            rows_a = _of_images(A, a, span)
            rows_b = rows_a if itself and a == b else _of_images(B, b, other)
            block = products(a, b, rows_a, rows_b, lambda share, a=a, b=b: advance(a, b, share))
            finished.keep(a, b, block)
            advance(a, b)
            done += _entries(a, b, symmetric)
            yield a, b, block


def rows_of_images(images: slice, k: int) -> slice:
    """The rows i * k + c of images i."""
    return slice(images.start * k, images.stop * k)


def num_rows(images: slice, k: int) -> int:
    """The number of these rows."""
    return (images.stop - images.start) * k


def counter(progress: Progress | None, stage: str, total: int) -> Callable[[int], None]:
    """Turns counts of newly finished items into calls of progress(stage, done, total)."""
    done = 0

    def report(count):
        nonlocal done
        done += count
        if progress:
            progress(stage, done, total)

    return report


def _parts(images, side):
    """Consecutive slices of `side` images; one slice if there is no limit."""
    side = side or images.stop - images.start
    starts = range(images.start, images.stop, side)
    return [slice(start, min(start + side, images.stop)) for start in starts]


def _entries(a, b, symmetric):
    entries = (a.stop - a.start) * (b.stop - b.start)
    return 2 * entries if symmetric and a != b else entries


def _of_images(rows, images, span):
    if images == span:
        return rows
    return [part.part(images.start - span.start, images.stop - span.start) for part in rows]
