"""Image-classification data sets that tensorflow-datasets has prepared on this machine.

Nothing is downloaded. Formats with random access (array_record, and parquet if pyarrow is
installed) are read without TensorFlow; tfrecord imports TensorFlow, without accelerators.
"""

import contextlib
import importlib.util
import json
import logging
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ntk_aug.data.cache import cache_path, folder_signature, read_cached, write_cached
from ntk_aug.data.dataset import Dataset
from ntk_aug.data.splits import every_fifth
from ntk_aug.errors import InputError
from ntk_aug.records import StrPath

# Number of examples per read: array_record unpacks a group of records for each request.
_BLOCK = 500

_NAME = re.compile(r"\w+(/\w[\w.-]*)?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def data_folder(data_dir: StrPath | None = None) -> Path:
    """Returns `data_dir`, or else $TFDS_DATA_DIR, or else ~/tensorflow_datasets."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(os.path.expanduser(chosen))


def is_known(name: str) -> bool:
    """Whether tensorflow-datasets can prepare a data set of this name, of images or not."""
    import tensorflow_datasets as tfds

    # Community data sets would be listed from the network.
    known = tfds.list_builders(with_community_datasets=False)
    return _NAME.fullmatch(name) is not None and name.split("/")[0] in known


def find_prepared(name: str, *, data_dir: StrPath | None = None) -> Path | None:
    """Returns the folder of the highest prepared version of a data set, or None.

    The name is "mnist", or "eurosat/rgb" for one of several configurations. Raises InputError if
    `name` does not choose among several prepared configurations, or a folder cannot be listed.
    """
    if not _NAME.fullmatch(name):
        return None
    base = data_folder(data_dir) / name
    try:
        versions = _version_folders(base)
        if not versions and "/" not in name and base.is_dir():
            configs = [path for path in sorted(base.iterdir()) if _version_folders(path)]
            if len(configs) > 1:
                known = ", ".join(f"{name}/{path.name}" for path in configs)
                raise InputError(f"{name} is prepared in several configurations: choose {known}")
            versions = [folder for path in configs for folder in _version_folders(path)]
    except OSError as error:
        raise InputError(f"{base} cannot be read: {error}") from None
    return versions[-1] if versions else None


def _version_folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    found = [path for path in base.iterdir() if path.is_dir() and _VERSION.fullmatch(path.name)]
    return sorted(found, key=lambda path: tuple(int(part) for part in path.name.split(".")))


def load_tfds(
    name: str,
    split: str,
    *,
    data_dir: StrPath | None = None,
    cache_dir: StrPath | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
) -> Dataset:
    """Loads one split of a prepared data set.

    Without a "test" split, "validation" is the test split. Without either, every fifth image of
    "train" in file order is test, and the others are train.

    Args:
      name: see `find_prepared`.
      split: "train" or "test".
      data_dir: folder of prepared data sets, see `data_folder`.
      cache_dir: folder of decoded images, see `cache.cache_folder`.
      mean: per channel, of pixels in [0, 1]; defaults to 0.
      std: per channel, of pixels in [0, 1]; defaults to 1.

    Raises:
      InputError: the data set is not prepared (the message names the command that does it), broken,
        needs a package that is not installed, or is not images of one size with one label each.
    """
    folder = find_prepared(name, data_dir=data_dir)
    if folder is None:
        raise InputError(
            f"data set {name!r} is not prepared in {data_folder(data_dir)}; set data_dir or "
            "TFDS_DATA_DIR to where it is (array_record, parquet or tfrecord), or prepare it "
            f"there: {_prepare_command(name, data_folder(data_dir))}"
        )
    path, signature = cache_path(folder, split, cache_dir=cache_dir), folder_signature(folder)
    cached = read_cached(path, signature)
    arrays = cached or _decode(name, folder, split, data_folder(data_dir))
    try:
        dataset = Dataset(
            name=name,
            split=split,
            images=arrays["images"],
            labels=arrays["labels"],
            class_names=tuple(str(class_name) for class_name in arrays["class_names"]),
            mean=mean,
            std=std,
        )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    if cached is None:
        write_cached(path, signature, arrays)
    return dataset


def _prepare_command(name: str, root: Path) -> str:
    arguments = f"{json.dumps(name)}, data_dir={json.dumps(str(root))}, file_format="
    return "python -c " + shlex.quote(
        "import tensorflow_datasets as tfds; "
        f'tfds.builder({arguments}"array_record").download_and_prepare()'
    )


def _decode(name: str, folder: Path, split: str, root: Path) -> dict[str, np.ndarray]:
    """Reads images [n, h, w, c] uint8, labels [n] and class names of one split of a folder."""
    import tensorflow_datasets as tfds

    again = f"remove it and prepare it anew: {_prepare_command(name, root)}"
    try:
        with _without_absl_messages():
            builder = tfds.builder_from_directory(folder)
            image, label = _image_and_label(builder.info)
            source, fifths = _source_split(builder.info, split)
            examples = builder.info.splits[source].num_examples
            images, labels = _filled(_blocks(builder, source, image, label), examples, folder)
            class_names = np.asarray(builder.info.features[label].names)
    except (InputError, MemoryError):
        raise
    except ImportError as error:
        raise InputError(
            f"{folder} needs another package to be read ({_first_line(error)}); install that, or "
            f"{again}"
        ) from error
    except Exception as error:  # tfds, array_record, pyarrow, protobuf, Pillow: all have their own
        raise InputError(
            f"{folder} is broken or half prepared ({_first_line(error)}); {again}"
        ) from error
    if fifths:
        chosen = every_fifth(examples, split)
        images, labels = images[chosen], labels[chosen]
    return {"images": images, "labels": labels, "class_names": class_names}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    # TensorFlow prepends the operation's name: {{function_node ...}}.
    return f"{type(error).__name__}: {re.sub(r'^{{.*?}} ', '', lines[0])}"


@contextlib.contextmanager
def _without_absl_messages() -> Iterator[None]:
    """Silences advice to authors of data sets, on record groups and OpenCV."""
    logger = logging.getLogger("absl")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _image_and_label(info: Any) -> tuple[str, str]:
    """Returns the keys of image and class label: the supervised pair, or the only ones."""
    import tensorflow_datasets as tfds

    features = dict(info.features.items())
    images = [key for key in features if isinstance(features[key], tfds.features.Image)]
    labels = [key for key in features if isinstance(features[key], tfds.features.ClassLabel)]
    labels = [key for key in labels if features[key].num_classes]
    match info.supervised_keys:
        case (image, label) if image in images and label in labels:
            return image, label
    if len(images) == len(labels) == 1:
        return images[0], labels[0]
    raise InputError(
        f"{info.full_name} is not image classification: of its features {', '.join(features)} "
        f"{len(images)} are images and {len(labels)} class labels, expected one of each"
    )


def _source_split(info: Any, split: str) -> tuple[str, bool]:
    """Returns the split of the files to read, and whether every fifth image of it is test."""
    fifths = "train" in info.splits and not {"test", "validation"} & set(info.splits)
    for source in (split, *(("validation", "train") if split == "test" else ())):
        if source in info.splits:
            return source, fifths
    raise InputError(
        f"{info.full_name} has no split {split!r}; it has {', '.join(sorted(info.splits))}"
    )


def _filled(
    blocks: Iterator[tuple[Sequence, Sequence]], examples: int, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Copies blocks of (images, labels), `examples` in all, into two arrays."""
    images, labels = np.empty(0), np.empty(examples, np.int64)
    done = 0
    for block in blocks:
        for image, label in zip(*block, strict=True):
            if not done:
                images = np.empty((examples, *image.shape), image.dtype)
            if image.dtype != np.uint8 or image.shape != images.shape[1:]:
                raise InputError(
                    f"image {done} of {folder} is {image.dtype} {image.shape}, the first "
                    f"{images.shape[1:]}: only uint8 images, all of one size, are supported"
                )
            images[done], labels[done] = image, label
            done += 1
    if done < examples or not examples:
        raise ValueError(f"it holds {done} of {examples} examples")
    return images, labels


def _blocks(builder: Any, split: str, image: str, label: str) -> Iterator[tuple[Any, Any]]:
    """Yields (images, labels) of consecutive examples in file order."""
    try:
        source = builder.as_data_source(split)
    except NotImplementedError:  # a format without random access
        yield from _tensorflow_blocks(builder, split, image, label)
        return
    for start in range(0, len(source), _BLOCK):
        block = source.__getitems__(range(start, min(start + _BLOCK, len(source))))
        yield [example[image] for example in block], [example[label] for example in block]


def _tensorflow_blocks(
    builder: Any, split: str, image: str, label: str
) -> Iterator[tuple[Any, Any]]:
    if importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(f"only tensorflow reads {builder.info.file_format.value}")
    import tensorflow_datasets as tfds

    with _without_stderr():
        import tensorflow

        # JAX owns the accelerators. If TensorFlow has been used before, this cannot be changed.
        with contextlib.suppress(RuntimeError):
            tensorflow.config.set_visible_devices([], "GPU")
        # Files are read one after another, not interleaved, which keeps the order of the indices.
        config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        examples = builder.as_dataset(split=split, shuffle_files=False, read_config=config)
    one_size = None not in builder.info.features[image].shape
    for block in tfds.as_numpy(examples.batch(_BLOCK if one_size else 1)):
        yield block[image], block[label]


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Drops what C++ libraries write to standard error during import."""
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
