"""The documentation as a site: `make docs` writes it to .build/site."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = "https://github.com/tidegate/tidegate"

project = "Tidegate"
version = release = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = f"Tidegate {release}"
html_copy_source = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}
# Policies are shown as they stand in files; a rate string is no TOML.
suppress_warnings = ["misc.highlighting_failure"]


def outside_links(_app, document, source) -> None:
    """Links to files of the checkout lead to the repository."""
    source[0] = re.sub(r"\]\(\.\./([^)#]+)", rf"]({REPOSITORY}/blob/main/\1", source[0])


def setup(app) -> None:
    app.connect("source-read", outside_links)
