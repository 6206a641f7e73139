"""How Sphinx builds the site: ``make docs``. Nothing is fetched, and no page loads anything from elsewhere."""

from typing import Any

import nextday

project = "nextday"
author = "the nextday authors"
copyright = f"{author}; Apache-2.0"
version = release = nextday.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["sample", "examples"]

html_theme = "furo"
html_title = f"nextday {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00558a", "color-brand-content": "#00558a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f0", "color-brand-content": "#7cc4f0"},
    "footer_icons": [],
}

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

autodoc_default_options = {"members": True, "member-order": "bysource", "exclude-members": "model_config"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def setup(app: Any) -> None:  # noqa: ANN401 - Sphinx's application
    """Adapt what autodoc shows of classes and properties."""
    app.connect("autodoc-process-signature", without_fields)
    app.connect("autodoc-process-docstring", without_types, priority=100)  # before napoleon


def without_fields(_: object, what: str, *__: object) -> tuple[str, None] | None:
    """Leave out the fields of a class: its attributes are explained below it."""
    return ("", None) if what == "class" else None


def without_types(_: object, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon in a property's sentence as its type."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(": ", " – ")
