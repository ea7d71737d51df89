"""The operations of `augment.OPERATIONS` on Pillow's images, and images that are hard for them."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
AFFINE = {
    "ShearX": lambda m: (1, m, 0, 0, 1, 0),
    "ShearY": lambda m: (1, 0, 0, m, 1, 0),
    "TranslateX": lambda m: (1, 0, m, 0, 1, 0),
    "TranslateY": lambda m: (1, 0, 0, 0, 1, m),
}
ENHANCERS = {
    name: getattr(ImageEnhance, name) for name in ("Brightness", "Contrast", "Color", "Sharpness")
}


def to_pillow(image):
    """An "L" or "RGB" image from uint8 [h, w, 1 or 3]."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def pillow_operation(name, magnitude, image, fill=None):
    """The operation on uint8 [h, w, c] by Pillow; `fill` is a fillcolor of that image."""
    name, _, interpolation = name.partition("-")
    resampling = RESAMPLING[interpolation or "nearest"]
    picture = to_pillow(image)
    if name in ENHANCERS:
        changed = ENHANCERS[name](picture).enhance(magnitude)
    elif name in AFFINE:
        changed = picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            AFFINE[name](magnitude),
            resampling,
            fillcolor=fill,
        )
    elif name == "Rotate":
        changed = picture.rotate(magnitude, resampling, fillcolor=fill)
    elif name == "Posterize":
        changed = ImageOps.posterize(picture, int(magnitude))
    elif name == "Solarize":
        changed = ImageOps.solarize(picture, magnitude)
    elif name == "SolarizeAdd":
        table = [min(255, v + int(magnitude)) if v < 128 else v for v in range(256)]
        changed = picture.point(table * image.shape[2])
    elif name == "Identity":
        changed = picture
    else:
        changed = {
            "AutoContrast": ImageOps.autocontrast,
            "Equalize": ImageOps.equalize,
            "Invert": ImageOps.invert,
        }[name](picture)
    return np.asarray(changed).reshape(image.shape)


def extreme_images(height, width, channels, seed=0):
    """Noise of the full range and of a narrow one, a constant, two values, a few, and a ramp."""
    rng = np.random.default_rng(seed)
    shape = (height, width, channels)
    ramp = np.linspace(0, 255, height * width * channels).reshape(shape)
    low = int(rng.integers(0, 200))
    return np.stack(
        [
            rng.integers(0, 256, shape),
            rng.integers(low, low + 50, shape),
            np.full(shape, 77),
            rng.choice([3, 250], shape),
            rng.choice([0, 0, 0, 31, 200, 255], shape),
            ramp,
        ]
    ).astype(np.uint8)
