"""The operations of `augment.OPERATIONS` by Pillow, with which they are compared."""

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
    """The operation on uint8 [h, w, c]; `fill` is a fillcolor of such an image."""
    return np.asarray(operate(name, magnitude, to_pillow(image), fill)).reshape(image.shape)


def operate(name, magnitude, picture, fill=None):
    """The operation on a picture of mode "L" or "RGB"."""
    name, _, interpolation = name.partition("-")
    resampling = RESAMPLING[interpolation or "nearest"]
    if name in ENHANCERS:
        return ENHANCERS[name](picture).enhance(magnitude)
    if name in AFFINE:
        matrix = AFFINE[name](magnitude)
        method = Image.Transform.AFFINE
        return picture.transform(picture.size, method, matrix, resampling, fillcolor=fill)
    if name == "Rotate":
        return picture.rotate(magnitude, resampling, fillcolor=fill)
    if name == "Posterize":
        if magnitude < 1:  # refused by Pillow 13, black before
            return Image.new(picture.mode, picture.size)
        return ImageOps.posterize(picture, int(magnitude))
    if name == "Solarize":
        return ImageOps.solarize(picture, magnitude)
    if name == "SolarizeAdd":
        table = [min(255, v + int(magnitude)) if v < 128 else v for v in range(256)]
        return picture.point(table * len(picture.getbands()))
    return {
        "Identity": lambda picture: picture,
        "AutoContrast": ImageOps.autocontrast,
        "Equalize": ImageOps.equalize,
        "Invert": ImageOps.invert,
    }[name](picture)
