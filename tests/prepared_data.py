"""Small data sets in tensorflow-datasets' own format, for the tests of what reads them."""

from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

COLOURS = tfds.features.FeaturesDict(
    {
        "image": tfds.features.Image(shape=(5, 4, 3)),
        "label": tfds.features.ClassLabel(names=["red", "blue", "green"]),
    }
)


def draw(n=20, classes=3, shape=(5, 4, 3), seed=0):
    """Random pixels and labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, classes, n)


def as_examples(images, labels):
    # As Pillow images: tensorflow-datasets encodes those without TensorFlow.
    files = [PIL.Image.fromarray(image.squeeze()) for image in images]
    return [{"image": x, "label": int(y)} for x, y in zip(files, labels, strict=True)]


def prepare(root, name, splits, *, features=COLOURS, version="1.0.0", supervised=None, **options):
    """Writes a data set with tensorflow-datasets' own writer, and returns its folder.

    Args:
      root: the data folder.
      name: of the data set; "name/config" for one with configurations.
      splits: examples of each split; they stay in their order, in two files.
      features: of one example.
      version: of the data set.
      supervised: keys of the supervised pair.
      options: `file_format`, array_record unless given.
    """

    def info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=features, supervised_keys=supervised, disable_shuffling=True
        )

    name, _, config = name.partition("/")
    members = {
        "name": name,
        "VERSION": tfds.core.Version(version),
        "BUILDER_CONFIGS": [tfds.core.BuilderConfig(name=config)] if config else [],
        "_info": info,
        "_split_generators": lambda self, downloads: {
            split: enumerate(examples) for split, examples in splits.items()
        },
        "_generate_examples": None,
    }
    bases = (tfds.core.GeneratorBasedBuilder,)
    cls = type("Written", bases, members, skip_registration=True)
    builder = cls(data_dir=root, **{"file_format": "array_record", **options})
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=2))
    return Path(builder.data_dir)
