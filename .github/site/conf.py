"""Sphinx reads this for the reading edition; build.py is what you run."""

from docutils import nodes
from latex2mathml.converter import convert

project = "Model-as-a-service in manufacturing"
author = copyright = "The authors of the course"
html_title = project
extensions = ["myst_nb"]

nb_execution_mode = "off"  # the stored outputs are the ones the tests compare
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
# The chapters are read on GitHub and in JupyterLab too: they start where they start.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

html_theme = "sphinx_book_theme"
templates_path = ["templates"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system says
html_show_search_summary = False  # it would fetch pages: not possible on disk
html_static_path = ["static"]
html_css_files = ["course.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "show_navbar_depth": 1,
    "navbar_persistent": [],  # the search is at the side
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def mathml(formula: str, display: str) -> str:
    """A formula as MathML; bars without the space of an operator."""
    bar = '<mo stretchy="false"{}>&#x0007C;</mo>'
    close = bar.format(' lspace="0" rspace="0"')
    return convert(formula, display=display).replace(bar.format(""), close)


def inline_formula(page, node: nodes.math) -> None:
    """A formula in a sentence, as MathML."""
    page.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def displayed_formula(page, node: nodes.math_block) -> None:
    """A formula on a line of its own; one wider than the page can be scrolled."""
    formula = mathml(node.astext(), "block")
    page.body.append(f'<div class="formula" tabindex="0">{formula}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    """Formulas need no script and no font of another host."""
    both = (inline_formula, None), (displayed_formula, None)
    app.add_html_math_renderer("mathml", *both)
