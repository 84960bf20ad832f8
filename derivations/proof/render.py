"""Pages from chapters and ledger: run each script as a notebook and write it to `docs/derivations/`.

`python -m derivations.proof.render` writes the pages; with `--check` it only compares them, and names
those that are stale.
"""

import argparse
import difflib
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi
from traitlets.config import Config

from derivations import CHAPTERS
from derivations.ledger import pages as ledger

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# The pages under docs/ that are made, and so are nobody's to edit.
MADE = ("derivations/*.md", "documents/*.md", "errata.md", "coverage.md")

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
    with TemporaryDirectory() as folder:  # the kernel's sockets: no port, and none shared
        client = NotebookClient(
            notebook,
            timeout=300,
            resources={"metadata": {"path": str(ROOT)}},
            config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"}),
        )
        try:
            # Whatever walks a set must do so in one order, or pages would change by themselves.
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


def chapters(scripts: Path = ROOT / "derivations") -> dict[str, str]:
    """Make the pages of the chapters in a folder: path under docs/ to text."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        made = dict(zip(CHAPTERS, pool.map(page, [scripts / f"{name}.py" for name in CHAPTERS]), strict=True))
    return {"derivations/index.md": index(made)} | {
        f"derivations/{name}.md": text for name, text in made.items()
    }


def pages() -> dict[str, str]:
    """Make every page: path under docs/ to text."""
    return chapters() | ledger.pages()


def stale(fresh: dict[str, str], docs: Path = DOCS) -> dict[str, list[str]]:
    """Compare the pages under docs/ with fresh ones: path to the lines of a diff, where they differ."""
    made = [path for pattern in MADE for path in docs.glob(pattern)]
    tracked = {path.relative_to(docs).as_posix(): path.read_text(encoding="utf-8") for path in made}
    return {
        name: list(
            difflib.unified_diff(
                tracked.get(name, "").splitlines(),
                fresh.get(name, "").splitlines(),
                f"docs/{name}",
                "as made now",
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
        prog="python -m derivations.proof.render",
        description="Write the pages under docs/ that are made from the chapters and the ledger.",
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
            print("\n".join([f"Stale: docs/{name}", *diff[:20]]), file=sys.stderr)
        if differences:
            print("Run `make render` and commit what it writes.", file=sys.stderr)
        return 1 if differences else 0

    for name in differences:
        if name in fresh:
            (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
            (DOCS / name).write_text(fresh[name], encoding="utf-8")
        else:
            (DOCS / name).unlink()
        print(f"docs/{name} {'written' if name in fresh else 'removed'}")
    if not differences:
        print("Every page is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
