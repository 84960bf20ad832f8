"""The site: pages made from the chapters, links both ways, mathematics without a network."""

import ast
import html
import pkgutil
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from derivations import CHAPTERS
from derivations.proof import render
from derivations.proof import site as site_builder
from derivations.proof.claims import Claim, every_claim

ROOT = Path(__file__).resolve().parents[1]
CODE = sorted(path for path in (ROOT / "ddpm_ref").rglob("*.py") if not path.stem.startswith("__"))
CITED = re.compile(r"\[(" + "|".join(CHAPTERS) + r")\.([\w.-]+)\]\[\]")


@pytest.fixture(scope="module")
def claims() -> dict[str, Claim]:
    return {id: claim for id, claim in every_claim().items() if id.partition(".")[0] in CHAPTERS}


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


def test_every_module_is_on_its_page() -> None:
    """A package has one page for all of its modules, and more that begin with its name if one is too long."""
    pages: dict[str, str] = {}
    for path in sorted((ROOT / "docs" / "api").glob("*.md")):
        name = path.stem.partition("-")[0]
        pages[name] = pages.get(name, "") + path.read_text(encoding="utf-8")
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in CODE]
    page_of = {module: module.split(".")[1] for module in modules}
    assert sorted(pages) == sorted(set(page_of.values()))
    assert [module for module, page in page_of.items() if f"::: {module}\n" not in pages[page]] == []


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
    return render.run(script).page()


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


# The built site; `make docs` builds it as well, and refuses a link that leads nowhere.


@pytest.mark.slow
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
            assert (page.parent / re.split("[?#]", source)[0]).is_file(), f"{page.name} lacks {source}"
    assert count > 0
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\W?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


@pytest.mark.slow
def test_every_link_leads_to_a_page_and_a_place_on_it(site: Path) -> None:
    """Those in raw HTML too, which mkdocs does not look at."""
    places: dict[Path, set[str]] = {}

    def ids(page: Path) -> set[str]:
        if page not in places:
            text = page.read_text(encoding="utf-8")
            places[page] = set(map(html.unescape, re.findall(r"""\s(?:id|name)=["']([^"']+)["']""", text)))
        return places[page]

    astray, count = [], 0
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for link in set(re.findall(r'<a\b[^>]*?\shref="([^"]*)"', page.read_text(encoding="utf-8"))):
            address, _, anchor = html.unescape(link).partition("#")
            if "://" in address or address.startswith("mailto:"):
                continue
            count += 1
            target = (page.parent / unquote(address)).resolve() if address else page
            lost = not target.exists() or (
                anchor and target.suffix == ".html" and unquote(anchor) not in ids(target)
            )
            if lost:
                astray.append(f"{page.relative_to(site)}: {link}")
    assert count > 0
    assert astray == []


@pytest.mark.slow
def test_every_claim_is_a_card_whose_id_is_its_anchor(site: Path, claims: dict[str, Claim]) -> None:
    for id, claim in claims.items():
        page = (site / "derivations" / f"{id.partition('.')[0]}.html").read_text(encoding="utf-8")
        assert page.count(f'id="{id}"') == 1
        card = page.partition(f'id="{id}"')[2]
        card = card[: card.find("<h3") if "<h3" in card else None]
        assert f"<code>{id}</code>" in card
        for used in claim.uses_declared:
            assert f"#{used.id}" in card
        for name in claim.implemented_by:
            assert f"#{name}" in card


@pytest.mark.slow
def test_a_claim_and_a_function_that_link_to_each_other_do_so_on_their_pages(
    site: Path, claims: dict[str, Claim]
) -> None:
    for id, claim in claims.items():
        for name in claim.implemented_by:
            page = (site / "api" / f"{name.split('.')[1]}.html").read_text(encoding="utf-8")
            function = page.partition(f'id="{name}"')[2]
            assert f"#{id}" in function, f"{name} does not link to {id}"


@pytest.mark.slow
def test_search_reads_its_index_from_disk(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8") == f"var __index = {index};\n"
    shim = ROOT / "docs" / "assets" / "iframe-worker" / "shim.js"
    assert 'location.protocol==="file:"&&(window.Worker=' in shim.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("See [posterior.meen][].", "posterior.meen"),
        ("See [x][ddpm_ref.process.q_posteriorr].", "ddpm_ref.process.q_posteriorr"),
        ("See [D2:107](../documents/D2.md#line-99999).", "line-99999"),
    ],
    ids=["claim", "function", "line"],
)
@pytest.mark.slow
def test_a_link_to_what_does_not_exist_fails_the_build_and_names_the_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: str, named: str
) -> None:
    (tmp_path / "docs" / "guides").mkdir(parents=True)
    (tmp_path / "docs" / "documents").mkdir()
    (tmp_path / "docs" / "guides" / "slip.md").write_text(f"# Slip\n\n{said}\n", encoding="utf-8")
    document = (render.DOCS / "documents" / "D2.md").read_text(encoding="utf-8").partition("| 107 |")[0]
    (tmp_path / "docs" / "documents" / "D2.md").write_text(
        re.sub(r"\[([^]]*)\]\S+", r"\1", document), encoding="utf-8"
    )
    config = tmp_path / "mkdocs.yml"
    nav = "nav: [documents/D2.md, guides/slip.md]"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\n{nav}\n", encoding="utf-8")
    assert site_builder.build(tmp_path / "site", config) != 0
    complaint = capfd.readouterr().err
    assert any("guides/slip.md" in line and named in line for line in complaint.splitlines()), complaint


def test_the_button_cites_what_the_citation_file_says() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    script = (ROOT / "docs" / "assets" / "cite.js").read_text(encoding="utf-8")
    version = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    author = re.search(r'^  - name: "(.+)"$', citation, re.MULTILINE)
    title = re.search(r'^title: "([^:"]+)', citation, re.MULTILINE)
    assert version
    assert author
    assert title
    assert f'version: "{version[1]}"' in script
    assert f'author: "{{{author[1]}}}"' in script
    assert f'title: "{title[1]}"' in script
