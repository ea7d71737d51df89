"""Settings of Sphinx. `make docs` builds docs/_build/html, and every warning is an error."""

import builtins
import re

builtins.GENERATING_DOCUMENTATION = True  # jaxtyping then writes shapes as they are in the source

project = "ntk_aug"
copyright = "2026, the ntk_aug founders"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = "ntk_aug"
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"  # docstrings put names between single backticks
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"  # a package's members in the order of its __all__
autodoc_typehints_format = "short"
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
napoleon_custom_sections = [("Reference", "References")]
python_maximum_signature_line_length = 88

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")


def plain_docstring(app, what, name, obj, options, lines):
    """Turns our docstrings into reStructuredText: they use |, * and _ as mathematics does.

    Indented lines before the first section are formulas or examples, and become literal blocks.
    """
    written, in_block, in_sections = [], False, False
    for line in lines:
        if line == "Example:":
            line, in_sections = "Example", False
        in_sections = in_sections or bool(_SECTION.match(line))
        indented = line.startswith(" ") and not in_sections
        if indented and not in_block:
            written += ["", "::", ""]
        elif in_block and line and not indented:
            written.append("")
        in_block = indented or (in_block and not line)
        written.append(line if in_block else _escaped(line))
    lines[:] = written


def _escaped(line):
    parts = re.split(r"(`+[^`]*`+)", line)
    parts[::2] = [re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def short_types(app, what, name, obj, options, signature, returned):
    """Writes `Float[Array, "n"]` once, where jaxtyping lists JAX's arrays and numpy's."""
    return tuple(text and _short(text) for text in (signature, returned))


def _short(text):
    text = text.replace("~", "").replace("jaxtyping.", "").replace("jaxlib._jax.Array", "jax.Array")
    text = re.sub(r"(\w+)\[jax\.Array, ('[^']*')\] \| \1\[ndarray, \2\]", r"\1[Array, \2]", text)
    for expansion, name in _ALIASES.items():
        text = text.replace(expansion, name)
    return re.sub(r"ntk_aug\.(\w+)\.(?:\w+\.)*(\w+)", r"~ntk_aug.\1.\2", text)


_KEY = "Key[jax.Array, ''] | UInt32[jax.Array, '2'] | UInt32[jax.Array, '4']"
_ALIASES = {
    "collections.abc.": "",
    "typing.": "",
    "<function <lambda>>": "...",
    "jax._src.mesh.": "",
    "os.": "",
    f"{_KEY} | int | Int[Array, ''] | numpy.integer": "KeyLike",
    f"int | {_KEY}": "KeyLike",
    _KEY: "KeyArray",
    "Callable[[KeyArray, Float[Array, 'h w c']], Float[Array, 'h w c']]": "Augmentation",
    "Callable[[str, int, int], None]": "Progress",
    "Callable[[Any, Any], Float[Array, 'n C']]": "ApplyFn",
}


def skip_fields(app, what, name, obj, skip, options):
    """Leaves out the fields of records, which "Attributes:" of their class describes."""
    return skip or type(obj).__name__ in ("_tuplegetter", "member_descriptor")


def setup(app):
    """Connects the functions above."""
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-skip-member", skip_fields)
