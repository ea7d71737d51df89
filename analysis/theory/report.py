"""theory.html: every statement with its counterexamples, and the theory on a network."""

import html
from collections.abc import Mapping
from pathlib import Path

from analysis.common.pages import image, page, table
from analysis.theory.tables import (
    COLUMNS,
    NETWORK_COLUMNS,
    network_rows,
    network_sentence,
    statement_rows,
)

INTRODUCTION = """
<p>Each statement is checked at random instances and at constructed ones, in float64: both sides as
numbers, and every assumption as a checked value. <b>Printed</b> is the statement as the paper has
it, <b>corrected</b> the form that can be proved. A <b>ratio</b> is left side / right side, and at
most 1 where the statement holds; of an equality it is the larger of both quotients. "inf" stands
for a right side of 0. Random instances alone do not show that a statement is false: the
constructed ones do.</p>"""

SHIFTS = """
<p>Lemma 4.1 assumes that delta = sigma~ - sigma is uniform on both sides of 0 up to ||E||. Blue:
the measured shifts of all singular values over all draws; dashed: the law, with the measured share
of decreases. The density's axis is logarithmic.</p>"""

DYNAMICS = """
<p>Training error of gradient descent on the augmented images (mean over the draws), of the network
that is linear in its parameters and of the network itself, both centred at their start. The printed
bound, Eq. (45), has the measured shares of decreases and the largest ||E||; its slack is divided by
the smallest gap, as is that of (c). (d) needs no gap.</p>"""

CORESET = """
<p>The text after Lemma B.3 says that Jacobians of coresets have large singular values. The lemma
bounds the largest one of the weighted Jacobian alone. Here: a coreset of a tenth, and random
subsets with as many of each class.</p>"""


def theory_html(summary: Mapping, figures: Path) -> str:
    """The page, with figures from the folder `figures`."""
    statements, network = summary["statements"], summary["network"]
    headers = [header.replace("\n", " ") for header in COLUMNS]
    sections = [INTRODUCTION, table(headers, statement_rows(summary))]
    for number, found in statements.items():
        sections += _statement(number, found, figures)
    if network is not None:
        sentence = html.escape(network_sentence(network))
        sections += ["<h2>On a trained network</h2>", f"<p>{sentence}.</p>"]
        rows = network_rows(summary)
        if rows:
            sections.append(table(NETWORK_COLUMNS, rows))
        sections += _shifts(network, figures) + _dynamics(network, figures)
        sections += _coreset(network, figures)
    facts = [(k, v) for k, v in summary["environment"].items()]
    facts += [("seed", summary["options"]["seed"]), ("time", f"{summary['seconds']:.0f} s")]
    sections += ["<h2>Settings</h2>", table(["", ""], facts)]
    return page("The paper's theory, statement by statement", sections)


def _statement(number, found, figures):
    name = {"B.1": "theorem-b-1", "5.2": "theorem-5-2"}.get(number)
    forms = [("printed", found["printed"] or "-"), ("corrected", found["corrected"])]
    bounds = [
        (
            bound,
            f"{tally['held']} of {tally['instances']}",
            *(_text(tally[name]) for name in ("median", "worst", "worst_constructed")),
        )
        for bound, tally in found["bounds"].items()
    ]
    sections = [
        f"<h2>{html.escape(found['title'])}: {found['status']}</h2>",
        f"<p>{html.escape(found['reason'])}.</p>",
        table(["", ""], forms),
        f"<details><summary><code>{found['function']}</code></summary>"
        f"<pre>{html.escape(found['explanation'])}</pre></details>",
        table(
            ["corrected bound", "holds in", "median ratio", "worst, random", "worst, constructed"],
            bounds,
        ),
    ]
    if name:
        sections.append(image(figures / f"{name}.png"))
    for title, examples in (
        ("Counterexample", found["counterexamples"]),
        ("Attained", found["attained"]),
    ):
        for one in examples:
            sections += _instance(title, one, full=title == "Counterexample")
    if found["dropped"]:
        rows = [
            (assumption, one["description"], _worst_ratio(one["sides"]))
            for assumption, one in found["dropped"].items()
        ]
        sections += [
            "<h3>Without an assumption the corrected form fails</h3>",
            table(["assumption", "instance", "largest ratio"], rows),
        ]
    return sections


def _instance(title, one, *, full):
    sides = one["sides"]
    bounds = [("printed", sides["printed"])] if sides["printed"] else []
    bounds += [(f"printed ({name})", bound) for name, bound in sides["further_printed"].items()]
    bounds += list(sides["corrected"].items())
    rows = [
        (
            name,
            _side(bound["lhs"]),
            bound["relation"],
            _side(bound["rhs"]),
            "holds" if bound["holds"] else "violated",
            _text(bound["ratio"]),
        )
        for name, bound in bounds
    ]
    sections = [
        f"<h3>{title}: {html.escape(one['description'])}</h3>",
        table(["", "left side", "", "right side", "", "ratio"], rows),
    ]
    if full:
        assumptions = [
            (
                assumed["text"],
                _text(assumed["value"]),
                assumed["relation"],
                _text(assumed["limit"]),
                "yes" if assumed["holds"] else "no",
                "printed form" if assumed["silent"] else "both",
            )
            for assumed in sides["assumptions"]
        ]
        constants = ", ".join(
            f"{key} = {_text(value)}" for key, value in sides["constants"].items()
        )
        sections += [
            table(["assumption", "value", "", "limit", "holds", "needed by"], assumptions)
            if assumptions
            else "",
            f"<p>{html.escape(constants)}</p>",
            f"<pre>{html.escape(one['source'])}</pre>",
        ]
    return sections


def _side(value):
    if not isinstance(value, list):
        return _text(value)
    texts = [_text(one) for one in value]
    return ", ".join(texts if len(texts) <= 6 else [*texts[:3], "...", *texts[-2:]])


def _text(value):
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"


def _worst_ratio(sides):
    ratios = [bound["ratio"] for bound in sides["corrected"].values() if not bound["holds"]]
    return _text(max(ratios, key=float, default=0.0))


def _shifts(network, figures):
    if not network["shifts"]:
        return []
    headers = (
        "augmentation",
        "share of decreases",
        "mean delta^2 / (e^2 / 3)",
        "largest |delta| / e",
        "share of sigma < e",
    )
    rows = [(name, *map(_text, found.values())) for name, found in network["shifts"].items()]
    return [
        "<h3>Lemma 4.1: does the law hold?</h3>",
        SHIFTS,
        table(headers, rows),
        image(figures / "lemma-4-1-network.png"),
    ]


def _dynamics(network, figures):
    if not network["dynamics"]:
        return []
    headers = (
        "augmentation",
        "eta",
        "e",
        "gap0",
        "linearised from formula",
        "network from formula",
        "linearised / printed, largest",
        "Eq. (45) violated from step",
    )
    rows = [(name, *map(_text, found.values())) for name, found in network["dynamics"].items()]
    return [
        "<h3>Theorem B.1: dynamics</h3>",
        DYNAMICS,
        table(headers, rows),
        image(figures / "theorem-b-1-network.png"),
    ]


def _coreset(network, figures):
    if not network.get("coreset_spectra"):
        return []
    rows = [
        (
            name,
            _text(found["coreset"]),
            f"{_text(found['random_mean'])} +- {found['random_std']:.2g}",
            f"{100 * found['random_smaller']:.0f} %",
        )
        for name, found in network["coreset_spectra"].items()
    ]
    headers = ("singular value", "coreset", "random subsets", "random subsets below the coreset")
    return [
        "<h3>Lemma B.3: large singular values?</h3>",
        CORESET,
        table(headers, rows),
        image(figures / "lemma-b-3-network.png"),
    ]
