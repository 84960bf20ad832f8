"""The built site in a real browser, opened from disk with the network off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from derivations.proof.render import DOCS
from tests.browser import Browser, found

pytestmark = pytest.mark.browser

PAGES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))
MEGABYTES = 1.5

# What no reader should see: a dollar sign or a macro outside code, where mathematics was not recognised.
RAW = r"""
(() => {
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  const raw = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("pre, code, .katex, script, style, textarea")) continue;
    if (/\$|\\[a-zA-Z]+|\\[([\])]/.test(node.data)) raw.push(node.data.trim().slice(0, 80));
  }
  return raw;
})()
"""

# Open every fold, let the page react, and count the formulas and what became of them.
FORMULAS = """
(async () => {
  document.querySelectorAll("details").forEach((fold) => (fold.open = true));
  const left = () => document.querySelector(".arithmatex:not(:has(.katex, .katex-error))");
  for (let wait = 0; wait < 100 && left(); wait++) await new Promise((done) => setTimeout(done, 100));
  const all = [...document.querySelectorAll(".arithmatex")];
  const shown = (formula) => formula.getClientRects().length;
  return {
    bare: all.filter((one) => !one.querySelector(".katex")).map((one) => one.textContent.slice(0, 80)),
    flat: all.filter((one) => shown(one) && !one.getBoundingClientRect().height).length,
    errors: [...document.querySelectorAll(".katex-error")].map((formula) => formula.title),
  };
})()
"""

# How far a reader could scroll to the right, once the theme has moved what it moves in a window of this size.
OVERFLOW = """
new Promise((done) => requestAnimationFrame(() => done(document.getAnimations())))
  .then((moving) => Promise.allSettled(moving.map((one) => one.finished)))
  .then(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = found()
    if program is None:
        pytest.skip("no Chromium")
    with Browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def address(site: Path, page: str) -> str:
    return (site / f"{page}.html").as_uri()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_quiet_and_fits_a_phone_and_a_desk(
    site: Path, browser: Browser, page: str
) -> None:
    browser.open(address(site, page), width=360)
    assert browser.run(FORMULAS) == {"bare": [], "flat": 0, "errors": []}
    assert browser.run(RAW) == []
    assert browser.run(OVERFLOW) <= 0
    browser.resize(1440)
    assert browser.run(OVERFLOW) <= 0
    assert browser.complaints == []
    assert [request for request in browser.requests if not request.startswith((site.as_uri(), "data:"))] == []
    # Search fetches its index by itself, and no reader waits for it.
    files = {name.partition("?")[0] for name in browser.requests if "/search/" not in name}
    paths = [name.removeprefix(site.as_uri() + "/") for name in files if not name.startswith("data:")]
    size = sum((site / unquote(path)).stat().st_size for path in paths)
    assert size < MEGABYTES * 1e6


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "page",
    [
        "index",
        "derivations/posterior",
        "documents/D1",
        "coverage",
        "graph",
        "api/process",
        "guides/data",
        "checks/faults",
        "checks/mutants",
        "conformance/matrix",
        "runs/index",
        "pictures/index",
    ],
)
def test_axe_finds_nothing_serious(site: Path, browser: Browser, page: str, scheme: str) -> None:
    """https://github.com/dequelabs/axe-core, kept beside the tests."""
    browser.open(address(site, page), scheme=scheme)
    browser.run((Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8") + "; 0")
    # Formulas are left to KaTeX, which writes each twice, once as MathML for screen readers.
    found = browser.run("axe.run({ exclude: ['.katex'] }).then((result) => result.violations)")
    assert [
        f"{violation['id']}: {violation['help']}: {node['html'][:120]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ] == []


@pytest.mark.parametrize(
    ("words", "claim"),
    [
        ("posterior.variance", "posterior.variance"),
        ("Variance of the forward posterior", "posterior.variance"),
        ("beta_tilde_t", "posterior.variance"),
        ("bound.terms", "bound.terms"),
    ],
)
def test_search_finds_a_claim_by_its_id_its_title_and_its_symbols(
    site: Path, browser: Browser, words: str, claim: str
) -> None:
    browser.open(address(site, "coverage"))
    browser.click("input[name=query]")
    browser.type(words)
    found = browser.run(
        """
        (async () => {
          for (let wait = 0; wait < 150; wait++) {
            await new Promise((done) => setTimeout(done, 200));
            const links = [...document.querySelectorAll(".md-search-result__link")];
            if (links.length) return links.map((link) => decodeURIComponent(link.hash.slice(1)));
          }
          return [];
        })()
        """
    )
    assert claim in found
    assert browser.complaints == []


def test_the_theme_can_be_switched_and_is_remembered(site: Path, browser: Browser) -> None:
    scheme = "document.body.dataset.mdColorScheme"
    browser.open(address(site, "index"), scheme="light")
    assert browser.run(scheme) == "default"
    browser.run("document.querySelector('label[title=Dark]').click()")
    assert browser.run(scheme) == "slate"
    browser.open(address(site, "errata"), scheme="light")
    assert browser.run(scheme) == "slate"
    browser.run("document.querySelector('label[title=Light]').click()")
    assert browser.run(scheme) == "default"


@pytest.mark.parametrize("refused", [False, True], ids=["clipboard", "no clipboard"])
def test_a_claim_is_cited_by_a_button(site: Path, browser: Browser, refused: bool) -> None:
    browser.open(address(site, "derivations/posterior"))
    browser.run(
        f"""
        document.addEventListener("copy", () => (window.copied = document.activeElement.value));
        navigator.clipboard.writeText = async (text) => {{
          if ({json.dumps(refused)}) throw new Error("refused");
          window.copied = text;
        }};
        0
        """
    )
    browser.click(".shown:has([id='posterior.mean']) .claim .cite")
    entry = browser.run("new Promise((done) => setTimeout(() => done(window.copied), 200))")
    lines = entry.splitlines()
    assert lines[0] == "@misc{ddpm-ref:posterior.mean,"
    assert "  title = {{Mean of the forward posterior}}," in lines
    assert lines[-1] == "}"


def test_a_node_of_the_graph_shows_what_it_rests_on(site: Path, browser: Browser) -> None:
    browser.open(address(site, "graph"))
    for graph in (".drawing", ".arcs"):
        browser.run(f"""document.querySelector("{graph} [data-id='posterior.law']").focus()""")
        lit = browser.run(
            f"""[...document.querySelectorAll("{graph} a.lit")].map((node) => node.dataset.id)"""
        )
        assert {"posterior.law", "posterior.mean", "forward.marginal", "gaussians.density"} <= set(lit)
        assert "parameterization.L-simple" not in lit


def test_the_home_page_answers_within_a_second(site: Path, browser: Browser) -> None:
    """The best of three, as the machine may be busy."""
    times = []
    for _ in range(3):
        browser.open(address(site, "index"))
        times.append(browser.run("performance.getEntriesByType('navigation')[0].domInteractive"))
    assert min(times) < 1000
