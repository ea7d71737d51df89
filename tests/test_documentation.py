"""README, guides and records: snippets run, command lines are understood, links lead somewhere.

A comment before a snippet says what is special about it:
`<!-- saved as: mine.py -->`: later snippets of the page may import it;
`<!-- needs: cifar10 -->`: it is skipped where that prepared data set is missing.
"""

import configparser
import contextlib
import importlib
import io
import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import tyro
from helpers import same_but_for_digits

from analysis.__main__ import COMMANDS as ANALYSIS
from experiments.__main__ import COMMANDS as EXPERIMENTS
from experiments.catalogue import ListOptions
from experiments.presets import matching_presets
from experiments.run import RunOptions, resolve_options
from experiments.sweep import SweepOptions, resolve_sweep
from ntk_aug import augment
from ntk_aug.coreset.selectors import find_selector

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("results/**/*.md")]
    )
    if "_build" not in path.parts
}
SNIPPET = re.compile(
    r"(?:<!-- (?P<mark>needs|saved as): (?P<value>\S+) -->\n+)?"
    r"(?P<indent>[ ]*)```python\n(?P<code>.*?)\n[ ]*```",
    re.DOTALL,
)
PROGRAMS = r"python -m (?:analysis|experiments|benchmarks)\b"
COMMAND = re.compile(rf"^(?:[A-Z]+=\S+ )*(?:{PROGRAMS}|python examples/|make\b)")


class Snippet(NamedTuple):
    line: int
    code: str
    mark: str | None
    value: str | None


def snippets(page):
    """The Python blocks of a page, in order."""
    found = []
    for match in SNIPPET.finditer(PAGES[page]):
        line = PAGES[page][: match.start("code")].count("\n")
        lines = match["code"].split("\n")
        code = "\n".join(line.removeprefix(match["indent"]) for line in lines)
        found.append(Snippet(line, code, match["mark"], match["value"]))
    return found


WITH_SNIPPETS = [page for page in PAGES if snippets(page)]


class ReadersFolder:
    """The current folder of a reader, whose files can be imported."""

    def __init__(self):
        self.modules = set()

    def save(self, name, code):
        Path(name).write_text(code + "\n", encoding="utf-8")
        self.modules.add(name.removesuffix(".py"))

    def knows(self, spec):
        """Whether a spec stands for something: it is no placeholder, and no other's function."""
        module, colon, name = spec.partition(":")
        own = bool(colon) and name[:1].isalpha()
        return module in self.modules if own else not re.search("[A-Z]{2}", spec)


@pytest.fixture
def readers_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    folder = ReadersFolder()
    yield folder
    for module in folder.modules:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("page", WITH_SNIPPETS)
def test_the_snippets_of_a_page_run_in_order(page, readers_folder):
    names, missing = {"__name__": "__main__"}, []
    for line, code, mark, value in snippets(page):
        if mark == "needs" and not is_prepared(value):
            missing.append(f"line {line} needs {value} (TFDS_DATA_DIR)")
            continue
        if mark == "saved as":
            readers_folder.save(value, code)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, ROOT / page, "exec"), names)
        # A comment after a call of print says what it prints, and after a colon what that means.
        for expected in re.findall(r"^print\(.*\)  # ([^:\n]*)", code, re.MULTILINE):
            assert_printed(expected, printed.getvalue())
    if missing:
        pytest.skip("; ".join(missing))


def is_prepared(name):
    folder = os.environ.get("TFDS_DATA_DIR")
    return folder is not None and (Path(folder) / name).is_dir()


def assert_printed(expected, printed):
    """Asserts that a line of the output is the expected one but for the last digits of numbers."""
    assert any(same_but_for_digits(expected, line) for line in printed.splitlines()), (
        f"{expected!r} is not a line of {printed!r}"
    )


def test_most_pages_have_snippets():
    assert len(WITH_SNIPPETS) > 8


# Command lines


def commands(page):
    """The commands of a page: the number of a line, and words. A backslash continues a line."""
    found, fenced = [], False
    lines = iter(enumerate(PAGES[page].splitlines(), start=1))
    for number, line in lines:
        fenced ^= line.lstrip().startswith("```")
        while line.endswith("\\"):
            line = line[:-1] + next(lines)[1]
        told = [line.strip()] if fenced or line.startswith("    ") else re.findall("`(.*?)`", line)
        told = [command for command in told if COMMAND.match(command)]
        found += [(number, shlex.split(c, comments=True)) for c in told if not c.endswith("...")]
    return found


COMMANDS = [
    pytest.param(page, words, id=f"{page}:{line}")
    for page in PAGES
    for line, words in commands(page)
]


@pytest.mark.parametrize(("page", "words"), COMMANDS)
def test_a_command_line_is_understood(page, words, readers_folder):
    for _, code, mark, value in snippets(page):
        if mark == "saved as":
            readers_folder.save(value, code)
    while re.fullmatch(r"[A-Z]+=\S*", words[0]):
        words = words[1:]
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert set(targets) <= make_targets()
        return
    if words[1].startswith("examples/"):
        assert (ROOT / words[1]).exists()
        return
    program, arguments = words[2], words[3:]
    if not arguments and "." not in program:
        return  # the program's name
    if program == "analysis":
        check_names(parsed(ANALYSIS, arguments), readers_folder)
    elif program == "experiments":
        check_settings(parsed(EXPERIMENTS, arguments), readers_folder)
    else:
        module = importlib.import_module(program)
        with understood(arguments):
            tyro.cli(module.Options, args=arguments)


def make_targets():
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@contextlib.contextmanager
def understood(arguments):
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            yield
    except SystemExit as stop:
        if stop.code:
            pytest.fail(f"{' '.join(arguments)}: {told.getvalue()}")


def parsed(commands, arguments):
    """The options of a program, or None after --help."""
    with understood(arguments):
        kinds = {name: kind for name, (kind, _) in commands.items()}
        return tyro.extras.subcommand_cli_from_dict(kinds, args=arguments)
    return None


def check_names(options, folder):
    """Checks the names of augmentations and selectors, which the parser takes as any text."""
    augmentations = getattr(options, "augment", None) or ()
    for spec in [augmentations] if isinstance(augmentations, str) else augmentations:
        if folder.knows(spec):
            augment.build_augmentation(spec)
    selector = getattr(options, "selector", None)
    if selector and folder.knows(selector):
        find_selector(selector)


def check_settings(options, folder):
    """Resolves the settings of runs, so that presets and overrides are known."""
    if not folder.knows(getattr(options, "preset", None) or ""):
        return
    if isinstance(options, RunOptions):
        resolve_options(options)
    elif isinstance(options, SweepOptions):
        resolve_sweep(options)
    elif isinstance(options, ListOptions):
        matching_presets(options.name)


def test_there_are_commands():
    assert len(COMMANDS) > 50
    told = [words for page in PAGES for _, words in commands(page)]
    assert any(words[:3] == ["python", "-m", "benchmarks.coreset"] for words in told)
    assert any("--augment" in words and len(words) > 12 for words in told)  # a continued line


def test_extras_that_are_installed_exist():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for page, text in PAGES.items():
        for extras in re.findall(r"pip install -e '?\.\[([\w,]+)\]", text):
            assert set(extras.split(",")) <= set(config["options.extras_require"]), page


# Links, paths and names


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_lead_somewhere(page):
    text = re.sub(r"^( *)```.*?^\1```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("http", "#", "mailto")):
            path, _, anchor = link.partition("#")
            assert (folder / path).exists(), link
            if anchor:
                assert anchor in anchors(folder / path), link
    places = r"(?:ntk_aug|analysis|experiments|benchmarks|tests|docs|examples|results)/[\w./-]*\w/?"
    for path in re.findall(rf"`({places})`", text):
        assert "_build" in path or (ROOT / path).exists(), path  # what `make docs` builds


PACKAGES = (
    *("augment", "coreset", "data", "errors", "jacobian", "models", "ntk", "spectrum", "theory"),
    "training",
)
FILE_TYPES = "csv|html|json|jsonl|npz|pdf|png"


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_library_exist(page):
    packages = "|".join(PACKAGES)
    for package, name in re.findall(rf"`({packages})\.([A-Za-z_]\w*)[`(]", PAGES[page]):
        if not re.fullmatch(FILE_TYPES, name):
            assert hasattr(importlib.import_module(f"ntk_aug.{package}"), name), name


def test_every_package_has_a_page_of_the_reference():
    packages = {path.parent.name for path in ROOT.glob("ntk_aug/*/__init__.py")}
    assert {f"docs/api/{package}.md" for package in packages} < set(PAGES)
    for package in packages:
        assert f".. automodule:: ntk_aug.{package}\n" in PAGES[f"docs/api/{package}.md"]


def anchors(path):
    """Those of the headings of a page, as hosts of Git make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in kept}
