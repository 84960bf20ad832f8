"""The site: pages made from the chapters, links both ways, mathematics without a network."""

import ast
import html
import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from derivations import CHAPTERS
from derivations.proof import render
from derivations.proof.claims import Claim, registered

ROOT = Path(__file__).resolve().parents[1]
CODE = sorted(path for path in (ROOT / "ddpm_ref").rglob("*.py") if not path.stem.startswith("__"))
CITED = re.compile(r"\[(" + "|".join(CHAPTERS) + r")\.([\w.-]+)\]\[\]")


@pytest.fixture(scope="module")
def claims() -> dict[str, Claim]:
    for chapter in CHAPTERS:
        importlib.import_module(f"derivations.{chapter}")
    return {claim.id: claim for claim in registered() if claim.id.partition(".")[0] in CHAPTERS}


def docstrings(path: Path) -> dict[str, str]:
    """Every docstring of a module, by the qualified name of what it documents."""
    found = {}

    def walk(node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str) -> None:
        found[name] = ast.get_docstring(node) or ""
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef):
                walk(child, f"{name}.{child.name}")

    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    walk(ast.parse(path.read_text(encoding="utf-8")), module)
    return found


# The pages are what the chapters show now.


@pytest.mark.slow
def test_the_pages_are_up_to_date() -> None:
    assert render.stale(render.pages()) == {}, "run `make render`"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_shows_the_claims_of_its_chapter_in_order(chapter: str, claims: dict[str, Claim]) -> None:
    shown = render.claims_shown((render.DOCS / "derivations" / f"{chapter}.md").read_text(encoding="utf-8"))
    stated = {id: claim.title for id, claim in claims.items() if id.startswith(f"{chapter}.")}
    assert list(shown.items()) == list(stated.items())


def test_the_chapters_stand_in_their_reading_order() -> None:
    listed = re.findall(r"derivations/(\w+)\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert listed == ["index", *CHAPTERS]


# Links between claims and code, in both directions.


def test_every_claim_that_a_docstring_names_exists(claims: dict[str, Claim]) -> None:
    named = {
        f"{where} names {match[0]}"
        for path in CODE
        for where, text in docstrings(path).items()
        for match in CITED.finditer(text)
        if f"{match[1]}.{match[2]}" not in claims
    }
    assert named == set()


def test_code_that_a_claim_names_exists_and_names_the_claim(claims: dict[str, Claim]) -> None:
    one_way = {
        f"{name} does not name [{id}][]"
        for id, claim in claims.items()
        for name in claim.implemented_by
        if f"[{id}][]" not in (pkgutil.resolve_name(name).__doc__ or "")
    }
    assert one_way == set()


def test_every_module_has_its_page() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")}
    assert sorted(pages) == [path.stem for path in CODE]
    assert [name for name, text in pages.items() if f"::: ddpm_ref.{name}\n" not in text] == []


# Rendering.

TOY = """\
# %% [markdown]
# # A toy
#
# Prose with $x_t$.

# %%
from sympy import Symbol, sqrt

sqrt(Symbol("x_0"))

# %%
class Card:
    def _repr_latex_(self):
        return "no one asks for this"

    def _repr_markdown_(self):
        return "### The square { #toy.square }"


# A comment, and another, so that
# this cell is long enough
Card()
"""


def rendered(folder: Path, source: str) -> str:
    script = folder / "toy.py"
    script.write_text(source, encoding="utf-8")
    return render.page(script)


def test_a_page_is_prose_then_code_then_what_the_code_shows(tmp_path: Path) -> None:
    page = rendered(tmp_path, TOY)
    assert page.startswith("# A toy\n\n<!-- Made from derivations/toy.py")
    pieces = [
        "Prose with $x_t$.",
        '```python\nfrom sympy import Symbol, sqrt\n\nsqrt(Symbol("x_0"))\n```',
        "$$\n\\sqrt{x_{0}}\n$$",
        '<details class="code" markdown="1">\n<summary>Code, 11 lines</summary>\n\n```python\nclass Card',
        "### The square { #toy.square }",
    ]
    places = [page.find(piece) for piece in pieces]
    assert -1 not in places
    assert places == sorted(places)
    assert "no one asks" not in page.partition("</details>")[2]
    assert render.claims_shown(page) == {"toy.square": "The square"}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 / 0", r"toy\.py: .*ZeroDivisionError"),
        ("import warnings; warnings.warn('look')", r"toy\.py, cell 2 wrote to stderr: .*look"),
    ],
)
def test_a_chapter_that_fails_or_warns_makes_no_page(tmp_path: Path, cell: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        rendered(tmp_path, f"# %% [markdown]\n# # A toy\n\n# %%\n{cell}\n")


def test_a_chapter_opens_with_its_title(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must open with a markdown cell"):
        rendered(tmp_path, "# %% [markdown]\n# No title.\n")


def test_a_stale_a_missing_and_an_orphaned_page_are_all_found(tmp_path: Path) -> None:
    (tmp_path / "derivations").mkdir()
    (tmp_path / "derivations" / "same.md").write_text("a\n", encoding="utf-8")
    (tmp_path / "derivations" / "orphan.md").write_text("c\n", encoding="utf-8")
    (tmp_path / "errata.md").write_text("b\n", encoding="utf-8")
    (tmp_path / "index.md").write_text("written by hand\n", encoding="utf-8")
    fresh = {"derivations/same.md": "a\n", "errata.md": "B\n", "documents/D1.md": "d\n"}
    found = render.stale(fresh, tmp_path)
    assert list(found) == ["derivations/orphan.md", "documents/D1.md", "errata.md"]
    assert {"-b", "+B"} <= set(found["errata.md"])


# The built site.


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_needs_no_network_and_no_server(site: Path) -> None:
    """Every script, style and picture of a page is a file beside it."""
    loads = re.compile(
        r'<(?:script|img)\b[^>]*?\ssrc="([^"]+)"|<link\b(?=[^>]*rel="stylesheet")[^>]*?href="([^"]+)"'
    )
    count = 0
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # served only by a web server, from its root
            continue
        for groups in loads.findall(page.read_text(encoding="utf-8")):
            source = "".join(groups)
            count += 1
            assert "//" not in source, f"{page.name} loads {source}"
            assert (page.parent / source.partition("?")[0]).is_file(), f"{page.name} lacks {source}"
    assert count > 0
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\W?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


# Runs inside a page that frames another one, 400 pixels wide, with every fold open.
PROBE = """
<iframe id="frame" src="{page}" style="width: 400px; height: 900px"></iframe>
<script>
  setTimeout(() => {{
    const page = frame.contentDocument;
    page.querySelectorAll("details").forEach((fold) => (fold.open = true));
    const found = {{
      formulas: page.querySelectorAll(".arithmatex").length,
      typeset: page.querySelectorAll(".arithmatex .katex").length,
      errors: [...page.querySelectorAll(".katex-error")].map((formula) => formula.title),
      overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    }};
    document.body.innerHTML = "";
    document.body.append("FOUND" + JSON.stringify(found) + "END");
  }}, 2000);
</script>
"""


@pytest.mark.browser
@pytest.mark.parametrize(
    "name",
    [
        "index",
        "errata",
        *(f"derivations/{chapter}" for chapter in CHAPTERS),
        *(f"documents/{document}" for document in ("D1", "D2", "D3", "D4", "D5", "Ho2020", "Further")),
        "api/process",
        "api/schedule",
    ],
)
def test_mathematics_displays_and_scrolls_in_its_own_block(site: Path, tmp_path: Path, name: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(page=(site / f"{name}.html").as_uri()), encoding="utf-8")
    quiet = "quic first-run background-networking component-update sync"
    shown = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *(f"--{'no' if switch == 'first-run' else 'disable'}-{switch}" for switch in quiet.split()),
            "--disable-web-security",  # the probe reads the page that it frames
            "--allow-file-access-from-files",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=6000",
            "--dump-dom",
            probe.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer = re.search(r"FOUND(.*?)END", shown.stdout)
    assert answer, shown.stdout[-500:]
    found = json.loads(html.unescape(answer[1]))
    assert found["errors"] == []
    assert found["typeset"] == found["formulas"]
    assert found["formulas"] > 0 or name == "index" or name.startswith("api/")
    assert found["overflow"] <= 0
