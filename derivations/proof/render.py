"""Pages from chapters: run each script as a notebook and write it to `docs/derivations/`.

`python -m derivations.proof.render` writes the pages; with `--check` it only compares them, and names
those that are stale.
"""

import argparse
import difflib
import os
import re
import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi
from traitlets.config import Config

from derivations import CHAPTERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "derivations"

NOTICE = "<!-- Made from {source} by `make render`; edit that. -->"

# Longer code folds away, so that the page reads as mathematics; in <details> rather than `???`, because
# a code host shows these pages too.
TEMPLATE = """
{%- extends 'markdown/index.md.j2' -%}
{%- block input -%}
{%- set lines = cell.source.splitlines() | length -%}
{%- if lines > 8 %}
<details class="code" markdown="1">
<summary>Code, {{ lines }} lines</summary>

```python
{{ cell.source }}
```

</details>
{% else %}
```python
{{ cell.source }}
```
{% endif -%}
{%- endblock input -%}
{%- block stream %}
```text
{{ output.text | strip_ansi | trim }}
```
{% endblock stream -%}
{%- block data_latex %}
{{ output.data['text/latex'] | display_math }}
{% endblock data_latex -%}
{%- block data_text %}
```text
{{ output.data['text/plain'] | strip_ansi | trim }}
```
{% endblock data_text -%}
{%- block data_markdown %}
{{ output.data['text/markdown'] | trim }}
{% endblock data_markdown -%}
"""

# A claim's heading: its title, and its permanent id as the anchor.
CLAIM_HEADING = re.compile(r"^#{2,6} (?P<title>.+?) \{ ?#(?P<id>[a-z]\w*\.[\w.-]+) ?\}$", re.MULTILINE)


def display_math(latex: str) -> str:
    r"""Display a notebook's LaTeX output, `$\displaystyle …$`, as a formula of its own."""
    body = latex.strip().strip("$").strip().removeprefix(r"\displaystyle").strip()
    return f"$$\n{body}\n$$"


def page(script: Path) -> str:
    """Make the page of one chapter: its prose, its code, and what that code shows when it runs.

    Raises:
        ValueError: a cell raised, or wrote to stderr (a warning is not part of a page).
    """
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    client = NotebookClient(
        notebook,
        timeout=300,
        resources={"metadata": {"path": str(ROOT)}},
        config=Config(KernelManager={"transport": "ipc"}),  # no open port
    )
    try:
        # Whatever walks a set must do so in the same order everywhere, or pages would change by themselves.
        client.execute(env={**os.environ, "PYTHONHASHSEED": "0"})
    except CellExecutionError as error:
        what = strip_ansi(str(error))  # type: ignore[no-untyped-call]
        raise ValueError(f"{script.name}: {what.strip()}") from error
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise ValueError(f"{script.name}, cell {number} wrote to stderr: {output.text.strip()}")

    exporter = MarkdownExporter(  # type: ignore[no-untyped-call]
        raw_template=TEMPLATE,
        filters={"display_math": display_math},
        config=Config(NbConvertBase={"display_data_priority": ["text/markdown", "text/latex", "text/plain"]}),
    )
    body, _ = exporter.from_notebook_node(notebook)
    title, _, rest = re.sub(r"\n{3,}", "\n\n", body).strip().partition("\n")
    if not title.startswith("# "):
        raise ValueError(
            f"{script.name} must open with a markdown cell whose first line is its title, # …; got {title!r}"
        )
    return f"{title}\n\n{NOTICE.format(source=f'derivations/{script.name}')}\n{rest}\n"


def claims_shown(markdown: str) -> dict[str, str]:
    """List the claims that a page shows, in its order: id to title."""
    return {match["id"]: match["title"] for match in CLAIM_HEADING.finditer(markdown)}


def index(chapters: dict[str, str]) -> str:
    """Make the page that opens the derivations: the reading order, and the claims of each chapter."""
    lines = [
        "# Derivations",
        "",
        NOTICE.format(source="the chapters"),
        "",
        "Each chapter is a script: it runs on its own, and this is what it shows. Read them in this order.",
    ]
    for number, (chapter, markdown) in enumerate(chapters.items(), start=1):
        title = markdown.partition("\n")[0].removeprefix("# ")
        lines += ["", f"## {number}. [{title}]({chapter}.md)"]
        claims = claims_shown(markdown)
        if claims:
            lines += ["", *(f"- [{name}]({chapter}.md#{id})" for id, name in claims.items())]
    return "\n".join(lines) + "\n"


def pages(scripts: Path = ROOT / "derivations") -> dict[str, str]:
    """Make every page from the chapters in a folder: file name to text."""
    chapters = {chapter: page(scripts / f"{chapter}.py") for chapter in CHAPTERS}
    return {"index.md": index(chapters)} | {f"{chapter}.md": text for chapter, text in chapters.items()}


def stale(fresh: dict[str, str], folder: Path = PAGES) -> dict[str, list[str]]:
    """Compare the pages in a folder with fresh ones: file name to the lines of a diff, where they differ."""
    tracked = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return {
        name: list(
            difflib.unified_diff(
                tracked.get(name, "").splitlines(),
                fresh.get(name, "").splitlines(),
                f"docs/derivations/{name}",
                "from the chapter now",
                n=1,
                lineterm="",
            )
        )
        for name in sorted(tracked.keys() | fresh.keys())
        if tracked.get(name) != fresh.get(name)
    }


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or check them; the exit status is 1 where a chapter fails or a page is stale."""
    parser = argparse.ArgumentParser(
        prog="python -m derivations.proof.render", description="Write docs/derivations/ from the chapters."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    options = parser.parse_args(argv)

    try:
        fresh = pages()
    except (ValueError, FileNotFoundError) as error:
        print(f"render: {error}", file=sys.stderr)
        return 1
    differences = stale(fresh)

    if options.check:
        for name, diff in differences.items():
            print("\n".join([f"Stale: docs/derivations/{name}", *diff[:20]]), file=sys.stderr)
        if differences:
            print("Run `make render` and commit what it writes.", file=sys.stderr)
        return 1 if differences else 0

    PAGES.mkdir(parents=True, exist_ok=True)
    for name in differences:
        if name in fresh:
            (PAGES / name).write_text(fresh[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()
        print(f"docs/derivations/{name} {'written' if name in fresh else 'removed'}")
    if not differences:
        print("docs/derivations/ is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
