"""Every claim of the book is decided anew here, one test for each; then what the claims say of themselves."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from sympy import Integer

import derivations.__main__ as book
from derivations import CHAPTERS
from derivations.proof import claims as machinery
from derivations.proof.claims import KERNELS, MUTANTS_NEEDED, Claim, Equation, claim, every_claim, mutant
from derivations.proof.deciding import select
from derivations.proof.obligations import equal
from derivations.proof.symbols import argument

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT.parent / "shared" / "sources"

CLAIMS = every_claim()


@pytest.mark.parametrize("id", CLAIMS)
def test_claim(id: str) -> None:
    result = CLAIMS[id].result
    assert result.verdict in ("proved", "definition"), "\n".join(result.problems)
    assert result.obligations
    for decided in result.obligations:
        assert decided.outcomes == dict.fromkeys(KERNELS, "proved"), decided.obligation.note
    assert set(result.refuted) == {wrong.name for wrong in CLAIMS[id].mutants}
    assert len(result.refuted) >= MUTANTS_NEEDED


# -- what a claim says of itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("id", CLAIMS)
def test_a_claims_id_names_the_chapter_it_stands_in(id: str) -> None:
    chapter, name = id.split(".")
    assert id in reading(chapter).proofs
    assert re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", name)


def cited_lines() -> list[tuple[str, int]]:
    cited = {source for stated in CLAIMS.values() for source in stated.sources}
    seen = {wrong.seen for stated in CLAIMS.values() for wrong in stated.mutants}
    in_mutants = {
        (document, int(line))
        for text in seen
        for document, lines in re.findall(r"(D\d) lines? ((?:\d+(?: and )?)+)", text)
        for line in re.findall(r"\d+", lines)
    }
    in_sources = {(m[1], int(m[2])) for source in cited if (m := re.fullmatch(r"(D\d):(\d+)", source))}
    return sorted(in_sources | in_mutants)


@pytest.mark.skipif(not SOURCES.is_dir(), reason="the five documents are not beside this checkout")
@pytest.mark.parametrize(("document", "line"), cited_lines(), ids=lambda part: str(part))
def test_a_cited_line_exists(document: str, line: int) -> None:
    lines = (SOURCES / f"{document}.md").read_text(encoding="utf-8").splitlines()
    assert 1 <= line <= len(lines)
    assert lines[line - 1].strip()


def resolve(name: str) -> object:
    """Import the module that a dotted name begins with, and look the rest up."""
    package, module, *attributes = name.split(".")
    found: object = import_module(f"{package}.{module}")
    for attribute in attributes:
        found = getattr(found, attribute)
    return found


IMPLEMENTED = {name: stated.id for stated in CLAIMS.values() for name in stated.implemented_by}


@pytest.mark.parametrize("name", IMPLEMENTED)
def test_the_code_that_a_claim_names_exists(name: str) -> None:
    assert name.startswith("ddpm_ref.")
    assert resolve(name) is not None


# Public names of the core that compute nothing of their own.
NO_FORMULA = {
    "schedule.Schedule.T": "a length",
    "schedule.Schedule.at": "looks tables up",
    "schedule.Schedule.check_t": "refuses bad steps",
    "schedule.Schedule.from_betas": "stores what it is given",
    "schedule.Schedule.from_config": "reads a file back",
    "schedule.Schedule.to_config": "writes it",
    "schedule.working_dtype": "chooses a precision",
    "process.to_x0": "chooses among the conversions",
    "process.to_eps": "chooses among the conversions",
    "process.check_choices": "refuses unknown names",
    "subsequence.check_steps": "refuses what is no sub-sequence",
    "subsequence.taken": "checks a walk's steps, and keeps their tables",
    "subsequence.steps": "chooses integers; every count is tested",
    "score.score_of": "calls the model, then to_eps and score_from_eps",
    "process.p_mean_variance": "chooses a variance and a conversion, then calls q_posterior",
    "objective.predict": "calls the model",
    "gaussian.widen": "chooses a precision",
    "gaussian.sum_coordinates": "adds up",
    "gaussian.check_same_shape": "refuses shapes that differ",
    "decoder.check_levels": "refuses images off the grid",
    "decoder.check_decoder": "refuses unknown names",
    "bound.collect": "adds up",
    "coding.reconstruct": "calls q_sample, then to_x0",
    "subset.stratified": "draws; the laws of its sums are tested by enumeration",
    "laws.flat": "changes shape and precision",
    "laws.gaussian_images": "chooses a mean and a covariance",
    "laws.mixture_images": "chooses weights, means and variances",
    "exact.step_variance": "chooses among variances that have claims",
    "gap.gaps": "averages what split_loss computes",
    "metrics.fit": "estimates a mean and a covariance",
    "metrics.fit_moments": "takes a covariance's root",
    "metrics.frechet_distance": "fits two Gaussians, then calls frechet",
    "metrics.class_frequencies": "counts",
    "metrics.total_variation": "half a sum of differences, by its definition",
    "metrics.bootstrap": "resamples",
}
TABLES_OF = {  # a table that is a root, a logarithm or a coefficient of what a claim states
    "schedule.Schedule.alpha": "schedule.Schedule.beta",
    "schedule.Schedule.sqrt_alpha": "schedule.Schedule.beta",
    "schedule.Schedule.one_minus_alpha_bar": "schedule.Schedule.alpha_bar",
    "schedule.Schedule.sqrt_alpha_bar": "process.q_mean_variance",
    "schedule.Schedule.sqrt_one_minus_alpha_bar": "process.q_sample",
    "schedule.Schedule.posterior_mean_coef_x0": "process.q_posterior",
    "schedule.Schedule.posterior_mean_coef_xt": "process.q_posterior",
    "schedule.Schedule.mean_coef_eps": "process.mu_from_eps",
    "schedule.Schedule.log_variance_fixed_large": "schedule.Schedule.variance_fixed_large",
    "schedule.Schedule.log_variance_fixed_small": "schedule.Schedule.variance_fixed_small",
    "schedule.Schedule.log_beta": "process.learned_log_variance",
    "schedule.Schedule.weight_fixed_large": "objective.weight",
    "schedule.Schedule.weight_fixed_small": "objective.weight",
}


def computing_names() -> Iterator[str]:
    """Read the public functions, and the schedule's public methods and tables, from the core's sources."""
    for module in (
        "schedule",
        "gaussian",
        "decoder",
        "process",
        "objective",
        "bound",
        "coding",
        "subset",
        "subsequence",
        "score",
        "sampler",
        "latents",
        "langevin",
        "laws",
        "exact",
        "reverse_law",
        "metrics",
        "gap",
    ):
        tree = ast.parse((ROOT / "ddpm_ref" / f"{module}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{module}.{node.name}"
            if isinstance(node, ast.ClassDef) and node.name == "Schedule":
                for inside in node.body:
                    if isinstance(inside, ast.FunctionDef) and not inside.name.startswith("_"):
                        yield f"{module}.Schedule.{inside.name}"


@pytest.mark.parametrize("name", sorted(computing_names()))
def test_every_function_of_the_core_has_a_claim(name: str) -> None:
    assert f"ddpm_ref.{TABLES_OF.get(name, name)}" in IMPLEMENTED or name in NO_FORMULA


def test_the_lists_of_exceptions_name_what_exists() -> None:
    assert set(NO_FORMULA) | set(TABLES_OF) <= set(computing_names())
    assert not {f"ddpm_ref.{name}" for name in NO_FORMULA} & set(IMPLEMENTED)


# -- what a claim rests on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("id", CLAIMS)
def test_a_claim_uses_only_claims_that_stand_before_it(id: str) -> None:
    order = list(CLAIMS)
    assert all(order.index(used) < order.index(id) for used in CLAIMS[id].uses)  # so there is no circle


RELATIONS = {"Holds", "Eventually", "MeanHolds"}  # statements that give nothing a value


class Reading:
    """What each name of a chapter, and each claim's statement and proof, rests on: read from its source.

    A name rests on the claims that its definition mentions, a claim's own name on that claim. A function
    with which a claim is stated speaks for it: `log_normal` for gaussians.density. Not so if the claim is a
    relation: the function only writes its sides down, and who calls it elsewhere does not use that the
    relation holds. What only a claim's mutants mention it does not rest on.
    """

    def __init__(self, chapter: str) -> None:
        self.names: dict[str, set[str]] = {}
        self.proofs: dict[str, set[str]] = {}
        self.speakers: dict[str, set[str]] = {}  # for each name, the functions it is made with
        for node in ast.parse((ROOT / "derivations" / f"{chapter}.py").read_text(encoding="utf-8")).body:
            match node:
                case ast.ImportFrom(module=str(module)) if module.removeprefix("derivations.") in CHAPTERS:
                    there = reading(module.removeprefix("derivations.")).names
                    self.names |= {alias.asname or alias.name: there[alias.name] for alias in node.names}
                case ast.FunctionDef(name=name):
                    self.names[name] = self.below(node)
                    self.speakers[name] = {name}
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="claim")) as call
                ):
                    self.claim(name, call)
                case ast.Assign(targets=[target], value=value):
                    for name in mentions(target):
                        self.names[name] = self.below(value)
                        self.speakers[name] = self.made_with(value)

    def claim(self, name: str, call: ast.Call) -> None:
        id, statement = str(ast.literal_eval(call.args[0])), call.args[2]
        parts = [keyword.value for keyword in call.keywords if keyword.arg in ("given", "proof")]
        self.proofs[id] = self.below(statement, *parts)
        self.names[name] = {id}
        if mentions(statement) & RELATIONS:
            return
        for function in self.made_with(statement):
            self.names[function].add(id)
            self.speakers[function] = set()  # for the first claim only

    def below(self, *nodes: ast.AST) -> set[str]:
        return {id for node in nodes for name in mentions(node) for id in self.names.get(name, ())}

    def made_with(self, node: ast.AST) -> set[str]:
        return {function for name in mentions(node) for function in self.speakers.get(name, ())}


reading = cache(Reading)


def mentions(node: ast.AST) -> set[str]:
    arguments = {inside.arg for inside in ast.walk(node) if isinstance(inside, ast.arg)}
    return {inside.id for inside in ast.walk(node) if isinstance(inside, ast.Name)} - arguments


@pytest.mark.parametrize("id", CLAIMS)
def test_a_claim_declares_all_that_its_proof_rests_on(id: str) -> None:
    assert reading(id.split(".")[0]).proofs[id] <= set(CLAIMS[id].uses)


def test_the_reading_sees_through_helpers_and_expressions_made_beforehand() -> None:
    assert "gaussians.density" in reading("forward").proofs["forward.step"]  # through log_normal
    assert "gaussians.chain" in reading("forward").proofs["forward.kernel"]  # through after_step
    assert "forward.kernel" in reading("posterior").proofs["posterior.mean"]  # through `quadratic`
    assert "forward.sample" in reading("sampling").proofs["sampling.gaussian-denoiser"]  # through `state`
    assert "gaussians.mgf" in reading("gaussians").proofs["gaussians.sum"]  # through log_mgf
    assert "divergences.kl" in reading("divergences").proofs["divergences.mode-seeking"]  # through `over`


def test_a_function_does_not_speak_for_a_relation_that_it_writes_down() -> None:
    divergences = reading("divergences")
    assert not divergences.names["two_letters"]  # though divergences.kl-not-negative is written with it
    assert "divergences.kl-not-negative" not in divergences.proofs["divergences.jensen-shannon"]


# -- python -m derivations -----------------------------------------------------------------------------------


@pytest.mark.slow  # it decides the whole book once more
def test_the_program_writes_every_claim_with_all_its_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "claims.json"
    assert book.main(["--json", str(file)]) == 0
    written = json.loads(file.read_text(encoding="utf-8"))
    assert {"versions", "commit", "claims"} <= set(written)
    assert all(written["versions"][name] for name in ("python", "sympy", "z3-solver", "python-flint"))
    assert [entry["id"] for entry in written["claims"]] == list(CLAIMS)
    for entry in written["claims"]:
        stated = CLAIMS[entry["id"]]
        assert entry["title"] == stated.title
        assert entry["statement"] == stated.latex
        assert entry["verdict"] == ("definition" if stated.kind == "definition" else "proved")
        assert entry["kernels"] == sorted(KERNELS)
        assert len(entry["mutants"]) >= MUTANTS_NEEDED
        assert all(wrong["refuted"] and wrong["witness"] for wrong in entry["mutants"])
        for field in ("sources", "uses", "implemented_by", "tested_by", "assumes"):
            assert isinstance(entry[field], list)
        assert entry["seconds"] > 0
    [snr] = [entry for entry in written["claims"] if entry["id"] == "forward.snr"]
    assert [obligation["given"] for obligation in snr["obligations"]] == [[], [r"\bar{\alpha}_{t-1} < 1"]]
    assert f"{len(CLAIMS)} of {len(CLAIMS)} claims hold" in capsys.readouterr().out


@pytest.fixture
def a_false_claim(monkeypatch: pytest.MonkeyPatch) -> Claim:
    monkeypatch.setattr(machinery, "_registry", dict(machinery._registry))
    return claim(
        "gaussians.false",
        "One is two",
        Equation("2", Integer(1)),
        proof=lambda value: [equal(value, 2, "as stated")],
        mutants=[mutant("three", value=3), mutant("argument", value=argument)],
    )


def test_the_program_exits_with_1_if_a_claim_fails(
    a_false_claim: Claim, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "claims.json"
    assert book.main([a_false_claim.id, "--json", str(file)]) == 1
    assert json.loads(file.read_text(encoding="utf-8"))["claims"][0]["verdict"] == "failed"
    assert "0 of 1 claims hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["forward", "forward.nothing"], ["--json", "/no/such/folder/x"]], ids=str
)
def test_bad_arguments_are_one_line_and_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = book.main(arguments)
    except SystemExit as end:  # as argparse ends
        code = end.code
    assert code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_claim_is_found_by_its_id_and_a_chapter_by_its_name() -> None:
    assert [found.id for found in select(["forward.step"])] == ["forward.step"]
    assert {found.id.split(".")[0] for found in select(["posterior"])} == {"posterior"}
