"""Sphinx configuration."""

import hoopx

project = "hoopx"
author = copyright = "The hoopx maintainers"
release = version = hoopx.__version__
extensions = []
exclude_patterns = ["_build", "howto/listings"]
html_theme = "alabaster"
html_theme_options = {"description": "A recording gateway on Twisted", "fixed_sidebar": True}
nitpicky = True
highlight_language = "none"
