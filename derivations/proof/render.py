"""Pages from chapters and ledger: run each script as a notebook and write it to `docs/derivations/`.

`python -m derivations.proof.render` writes the pages; with `--check` it only compares them, and names
those that are stale. Either way it names every page that mentions a claim, a function or a document's line
that does not exist.
"""

import difflib
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi
from traitlets.config import Config

from derivations import CHAPTERS
from derivations.ledger import anchors, book
from derivations.ledger import pages as ledger
from derivations.proof import arguments, cards, counts, graph, mentions
from derivations.proof.illustrations import illustrated

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# The pages under docs/ that are made, and so are nobody's to edit.
MADE = ("derivations/*.md", "documents/*.md", "errata.md", "coverage.md", "graph.md")

NOTICE = "<!-- Made from {source} by `make render`; edit that. -->"

# Code stands beside what it shows where there is room for both, and longer code folds away, so that the page
# reads as mathematics; in <details> rather than `???`, because a code host shows these pages too.
TEMPLATE = """
{%- extends 'markdown/index.md.j2' -%}
{%- block codecell -%}
{%- if cell.outputs %}
<div class="cell" markdown>
{{ super() }}
</div>
{% else -%}
{{ super() }}
{%- endif -%}
{%- endblock codecell -%}
{%- block output_group %}
<div class="shown" markdown>
{{ super() }}
</div>
{% endblock output_group -%}
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

# Where a claim's card goes, once the whole book is known and so what uses the claim.
PLACE = re.compile(r"<!-- claim (?P<id>\S+) -->")

# A claim's heading: its title, and its permanent id as the anchor.
CLAIM_HEADING = re.compile(r"^#{2,6} (?P<title>.+?) \{ ?#(?P<id>[a-z]\w*\.[\w.-]+) ?\}$", re.MULTILINE)


def display_math(latex: str) -> str:
    r"""Display a notebook's LaTeX output, `$\displaystyle …$`, as a formula of its own."""
    body = latex.strip().strip("$").strip().removeprefix(r"\displaystyle").strip()
    return f"$$\n{body}\n$$"


class Chapter(NamedTuple):
    """A chapter that was run: its page with a place for each card, and the claims that it shows."""

    text: str
    claims: dict[str, dict[str, Any]]

    def page(self, write: Callable[[dict[str, Any]], str] = cards.card) -> str:
        """Put the cards in their places."""
        return PLACE.sub(lambda place: write(self.claims[place["id"]]).strip(), self.text)


def run(script: Path) -> Chapter:
    """Run a chapter: its prose, its code, and what that code shows.

    Raises:
        ValueError: a cell raised, or wrote to stderr (a warning is not part of a page), or its prose shows a
            picture that there is not.
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
    claims: dict[str, dict[str, Any]] = {}
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise ValueError(f"{script.name}, cell {number} wrote to stderr: {output.text.strip()}")
            if claim := output.get("data", {}).get(cards.MIME):
                claims[claim["id"]] = claim
                output["data"] = {"text/markdown": f"<!-- claim {claim['id']} -->"}

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
    rest = illustrated(rest, script.name)
    return Chapter(f"{title}\n\n{NOTICE.format(source=f'derivations/{script.name}')}\n{rest}\n", claims)


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


def run_all(scripts: Path = ROOT / "derivations") -> dict[str, Chapter]:
    """Run the chapters in a folder, in processes of their own."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return dict(zip(CHAPTERS, pool.map(run, [scripts / f"{name}.py" for name in CHAPTERS]), strict=True))


def pages() -> dict[str, str]:
    """Make every page: path under docs/ to text.

    Raises:
        ValueError: if a chapter fails, or anything is short of the ledger.
    """
    ran = run_all()
    claims = {id: claim for chapter in ran.values() for id, claim in chapter.claims.items()}
    used_by: dict[str, list[str]] = {id: [] for id in claims}
    for id, claim in claims.items():
        for used in claim["uses"]:
            used_by[used].append(id)

    def write(claim: dict[str, Any]) -> str:
        sources = anchors.links(claim["id"], claim["sources"])
        return cards.card(claim, used_by=used_by[claim["id"]], sources=sources)

    chapters = {name: chapter.page(write) for name, chapter in ran.items()}
    home = (DOCS / "index.md").read_text(encoding="utf-8")
    return {
        "index.md": counts.filled(home, counts.counts(claims.values(), book.documents())),
        "derivations/index.md": index(chapters),
        **{f"derivations/{name}.md": text for name, text in chapters.items()},
        "graph.md": graph.page(list(claims.values())),
        **ledger.pages(),
    }


def stale(fresh: dict[str, str], docs: Path = DOCS) -> dict[str, list[str]]:
    """Compare the pages under docs/ with fresh ones: path to the lines of a diff, where they differ."""
    made = {path for pattern in MADE for path in docs.glob(pattern)}
    made |= {docs / name for name in fresh if (docs / name).is_file()}  # a page of which a part is made
    tracked = {path.relative_to(docs).as_posix(): _text(path) for path in made}
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


def written(docs: Path = DOCS) -> dict[str, str]:
    """Read every page under docs/ that is written by hand: path to text."""
    made = {path for pattern in MADE for path in docs.glob(pattern)}
    return {
        path.relative_to(docs).as_posix(): _text(path)
        for path in sorted(docs.rglob("*.md"))
        if path not in made
    }


def _text(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"a page must be text in UTF-8; {page}: {error}") from error


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or check them; the exit status is 1 where a chapter fails or a page is stale."""
    parser = arguments.Parser(
        prog="python -m derivations.proof.render",
        description="Write the pages under docs/ that are made from the chapters and the ledger.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    options = parser.parse_args(argv)

    try:
        fresh = pages()
        wrong = mentions.wrong({**written(), **fresh})
        differences = stale(fresh)
    except (ValueError, OSError) as error:
        print(f"render: {error}", file=sys.stderr)
        return 1
    for problem in wrong:
        print(f"render: {problem}", file=sys.stderr)

    if options.check:
        for name, diff in differences.items():
            print("\n".join([f"Stale: docs/{name}", *diff[:20]]), file=sys.stderr)
        if differences:
            print("Run `make render` and commit what it writes.", file=sys.stderr)
        return 1 if differences or wrong else 0

    for name in differences:
        if name in fresh:
            (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
            (DOCS / name).write_text(fresh[name], encoding="utf-8")
        else:
            (DOCS / name).unlink()
        print(f"docs/{name} {'written' if name in fresh else 'removed'}")
    if not differences:
        print("Every page is up to date.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
