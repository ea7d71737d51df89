import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# One way: each may import those before it (and its own files).
BASE = (
    *("aliases", "errors", "checks", "compiler", "imports", "inputs", "losses", "options"),
    *("precision", "programs", "progress", "randomness", "records", "threads"),
)
LAYERS = ("data", "augment", "models", "jacobian", "ntk", "spectrum", "coreset", "training")
ORDER = (*BASE, *LAYERS)
PROGRAMS = ("analysis", "benchmarks", "experiments")


def allowed(part):
    """The parts of ntk_aug that a part of it may import."""
    if part == "theory":  # a side branch: it sees all up to coreset, and nothing sees it
        return {"theory", *ORDER[: ORDER.index("coreset") + 1]}
    if part == "__init__":  # it warns of a wrong compiler, and else imports nothing
        return {"compiler"}
    assert part in ORDER, f"ntk_aug.{part} has no place in the order of imports: give it one"
    return set(ORDER[: ORDER.index(part) + 1])


def imported_names(source, package=""):
    """The dotted name of everything that a file imports, at its top and inside functions.

    `from a import b` counts as a.b; so does importlib.import_module("a.b"); relative imports are
    resolved against `package`, the dotted name of the file's folder.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                parents = package.split(".") if node.level else []
                base = parents[: len(parents) - (node.level - 1)] if node.level else []
                base += node.module.split(".") if node.module else []
                names |= {".".join([*base, alias.name]) for alias in node.names}
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                names.add(name)
    return names


def imports_by_file(root, folder):
    """From the path of each Python file below root/folder, relative to root, to its imports."""
    files = sorted((root / folder).rglob("*.py"))
    return {
        str(path.relative_to(root)): imported_names(
            path.read_text(encoding="utf-8"), ".".join(path.parent.relative_to(root).parts)
        )
        for path in files
    }


def wrong_way_imports(root):
    """What breaks the order of imports below root, one line each."""
    wrong = []
    for file, names in imports_by_file(root, "ntk_aug").items():
        own = Path(file).parts[1].removesuffix(".py")
        for name in sorted(names):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top in PROGRAMS:
                wrong.append(f"{file} imports the program {name}")
            elif top == "ntk_aug" and other != "__version__" and other not in allowed(own):
                wrong.append(f"{file} imports {name}")
    for program in PROGRAMS:
        others = {*PROGRAMS} - {program}
        for file, names in imports_by_file(root, program).items():
            wrong += [
                f"{file} imports {name}" for name in sorted(names) if name.split(".")[0] in others
            ]
    return wrong


def test_imports_point_one_way():
    assert wrong_way_imports(ROOT) == []


def test_at_most_one_file_imports_neural_tangents():
    files = [
        file
        for folder in ("ntk_aug", *PROGRAMS)
        for file, names in imports_by_file(ROOT, folder).items()
        if any(name.split(".")[0] == "neural_tangents" for name in names)
    ]
    assert len(files) <= 1, files


def test_the_library_that_was_read_is_the_one_that_is_tested():
    assert Path(importlib.import_module("ntk_aug").__file__).parents[1] == ROOT
    assert "ntk_aug.errors.InputError" in imports_by_file(ROOT, "ntk_aug")["ntk_aug/records.py"]


@pytest.mark.parametrize(
    ("file", "source", "caught"),
    [
        ("ntk_aug/spectrum/a.py", "from ntk_aug.training import train", True),
        ("ntk_aug/training/a.py", "from ntk_aug.spectrum import study_spectrum", False),
        ("ntk_aug/data/a.py", "from ntk_aug import augment", True),
        ("ntk_aug/data/a.py", "import ntk_aug.models.mlp as mlp", True),
        ("ntk_aug/data/a.py", "from ntk_aug import records\nfrom ntk_aug.data import b", False),
        ("ntk_aug/checks.py", "from ntk_aug.records import read_json", True),
        ("ntk_aug/__init__.py", "from ntk_aug import data", True),
        ("ntk_aug/data/a.py", "def f():\n    if f:\n        from ntk_aug.ntk import g", True),
        ("ntk_aug/data/a.py", "from ..models import MLP", True),
        ("ntk_aug/data/a.py", "from . import b\nfrom .b import c", False),
        ("ntk_aug/data/a.py", "import importlib\nimportlib.import_module('ntk_aug.ntk')", True),
        ("ntk_aug/data/a.py", "# import ntk_aug.ntk\ntext = 'import ntk_aug.ntk'", False),
        ("ntk_aug/theory/a.py", "from ntk_aug.coreset import select", False),
        ("ntk_aug/theory/a.py", "from ntk_aug.training import train", True),
        ("ntk_aug/training/a.py", "from ntk_aug.theory import weyl", True),
        ("ntk_aug/data/a.py", "from experiments import presets", True),
        ("ntk_aug/data/a.py", "import analysis.paper", True),
        ("analysis/a.py", "from experiments import presets\nimport ntk_aug", True),
        ("experiments/sub/a.py", "import analysis.paper", True),
        (
            "experiments/a.py",
            "from ntk_aug import theory, training\nfrom experiments import b",
            False,
        ),
    ],
)
def test_an_import_against_the_order_is_caught(tmp_path, file, source, caught):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    wrong = wrong_way_imports(tmp_path)
    assert len(wrong) == caught, wrong
    assert all(line.startswith(f"{file} imports ") for line in wrong)


def test_a_part_without_a_place_in_the_order_is_caught(tmp_path):
    (tmp_path / "ntk_aug" / "extras").mkdir(parents=True)
    (tmp_path / "ntk_aug" / "extras" / "a.py").write_text("from ntk_aug import data")
    with pytest.raises(AssertionError, match=r"ntk_aug\.extras has no place"):
        wrong_way_imports(tmp_path)
