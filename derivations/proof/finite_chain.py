"""The exact oracle of the bound: a diffusion model over a few states, all its probabilities rational.

Forward and reverse process are tables of fractions. Every marginal and every conditional is found by adding
up whole paths, with no Bayes' rule, no Markov property and no closed form, so it can be held against claims
that use them. A logarithm of a fraction is a vector of prime exponents, and the logarithms of the primes are
linearly independent over the rationals: a mean of log-probabilities is such a vector with rational entries,
and two of them are equal or they are not. There is no tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from random import Random

from sympy import Expr, Integer, Rational, Symbol, log, sympify
from sympy.core.relational import Relational

from derivations.proof.claims import Parts
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import tex

Path = tuple[int, ...]  # the states of x_0, …, x_T
Row = tuple[Fraction, ...]
Table = tuple[Row, ...]


@dataclass(frozen=True)
class Logs:
    """Σ c_p log p over the primes p, plus a rational number, kept under p = 1."""

    coefficients: Mapping[int, Fraction]

    def __add__(self, other: Logs) -> Logs:
        primes = self.coefficients.keys() | other.coefficients.keys()
        return _logs({p: self.at(p) + other.at(p) for p in primes})

    def __sub__(self, other: Logs) -> Logs:
        return self + other.times(Fraction(-1))

    def times(self, factor: Fraction) -> Logs:
        """Multiply by a fraction."""
        return _logs({p: factor * c for p, c in self.coefficients.items()})

    def at(self, prime: int) -> Fraction:
        """The coefficient of log(prime)."""
        return self.coefficients.get(prime, Fraction(0))

    @property
    def expression(self) -> Expr:
        """The same number for SymPy."""
        terms = (_rational(c) * (log(Integer(p)) if p > 1 else 1) for p, c in self.coefficients.items())
        return sum(terms, Integer(0))


def _logs(coefficients: Mapping[int, Fraction]) -> Logs:
    return Logs({p: c for p, c in sorted(coefficients.items()) if c})


def _rational(value: Fraction) -> Rational:
    return Rational(value.numerator, value.denominator)


NOTHING = Logs({})


def number(value: Fraction) -> Logs:
    """A rational number as it stands."""
    return _logs({1: value})


@cache
def log_of(value: Fraction) -> Logs:
    """The logarithm of a positive fraction, as prime exponents."""
    if value <= 0:
        raise ValueError(f"only a positive fraction has a logarithm; got {value}")
    exponents: dict[int, Fraction] = {}
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        prime = 2
        while part > 1:
            if prime * prime > part:
                prime = part
            while part % prime == 0:
                exponents[prime] = exponents.get(prime, Fraction(0)) + sign
                part //= prime
            prime += 1
    return _logs(exponents)


def total(parts: Iterable[Logs]) -> Logs:
    """Add up, nothing if there is nothing."""
    result = NOTHING
    for part in parts:
        result += part
    return result


@dataclass(frozen=True)
class Process:
    """A law on paths, and its marginals and conditionals."""

    weights: Mapping[Path, Fraction]
    _sums: dict[tuple[tuple[int, int], ...], Fraction]

    def probability(self, fixed: Mapping[int, int]) -> Fraction:
        """P(x_t = fixed[t] for all t in fixed), by adding up paths."""
        key = tuple(sorted(fixed.items()))
        if key not in self._sums:
            self._sums[key] = sum(
                (w for path, w in self.weights.items() if all(path[t] == state for t, state in key)),
                Fraction(0),
            )
        return self._sums[key]

    def conditional(self, path: Path, of: Iterable[int], given: Iterable[int] = ()) -> Fraction:
        """P(x_of | x_given) at the states of a path."""
        given = tuple(given)
        both = self.probability({t: path[t] for t in (*of, *given)})
        return both / self.probability({t: path[t] for t in given})


class FiniteChain:
    """q(x_0) with forward steps, and p(x_T) with reverse steps, over `states` states and T steps.

    Args:
        data: q(x_0).
        forward: for t = 1..T the table of q(x_t | x_{t-1}), a row for each state of x_{t-1}.
        prior: p(x_T).
        reverse: for t = 1..T the table of p(x_{t-1} | x_t), a row for each state of x_t.
    """

    def __init__(self, data: Row, forward: Sequence[Table], prior: Row, reverse: Sequence[Table]) -> None:
        if len(forward) != len(reverse):
            raise ValueError(f"{len(forward)} forward steps against {len(reverse)} reverse steps")
        for row in (data, prior, *(row for table in (*forward, *reverse) for row in table)):
            if len(row) != len(data) or sum(row) != 1 or min(row) <= 0:
                raise ValueError(f"a law over {len(data)} states is positive and sums to 1; got {row}")
        self.T, self.states = len(forward), len(data)
        q, p = {}, {}
        for path in product(range(self.states), repeat=self.T + 1):
            q[path], p[path] = data[path[0]], prior[path[-1]]
            for t in range(1, self.T + 1):
                q[path] *= forward[t - 1][path[t - 1]][path[t]]
                p[path] *= reverse[t - 1][path[t]][path[t - 1]]
        self.q, self.p = Process(q, {}), Process(p, {})

    @classmethod
    def random(cls, seed: int, T: int, states: int) -> FiniteChain:
        """Draw every table from small fractions; the seed settles it."""
        draw = Random(seed)

        def row() -> Row:
            parts = [draw.randint(1, 4) for _ in range(states)]
            return tuple(Fraction(part, sum(parts)) for part in parts)

        def steps() -> list[Table]:
            return [tuple(row() for _ in range(states)) for _ in range(T)]

        return cls(row(), steps(), row(), steps())

    def log_q(self, path: Path, of: Iterable[int], given: Iterable[int] = ()) -> Logs:
        """The logarithm of q(x_of | x_given) at a path."""
        return log_of(self.q.conditional(path, of, given))

    def log_p(self, path: Path, of: Iterable[int], given: Iterable[int] = ()) -> Logs:
        """The logarithm of p(x_of | x_given) at a path."""
        return log_of(self.p.conditional(path, of, given))

    def elsewhere(self, path: Path, of: Sequence[int]) -> Iterator[Path]:
        """The paths that agree with this one except in x_of."""
        for states in product(range(self.states), repeat=len(of)):
            moved = dict(zip(of, states, strict=True))
            yield tuple(moved.get(t, state) for t, state in enumerate(path))

    def divergence(
        self,
        first: Callable[[Path], Fraction],
        second: Callable[[Path], Fraction],
        path: Path,
        of: Sequence[int],
    ) -> Logs:
        """Σ first · log(first / second) over the states of x_of: the definition of the divergence."""
        return total(
            log_of(first(other) / second(other)).times(first(other)) for other in self.elsewhere(path, of)
        )

    def mean(self, value: Callable[[Path], Logs]) -> Logs:
        """E_q of a number that depends on the path."""
        return total(value(path).times(weight) for path, weight in self.q.weights.items())


Meaning = Mapping[Symbol, Callable[[FiniteChain, Path], Logs]]


def read(expression: Expr, meaning: Meaning, chain: FiniteChain, path: Path) -> Logs:
    """Read a linear expression at a path, each symbol by what it means there."""
    if expression.is_Rational:
        return number(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        if expression not in meaning:
            raise ValueError(f"{expression} has no meaning on a finite chain")
        return meaning[expression](chain, path)
    if expression.is_Add:
        return total(read(argument, meaning, chain, path) for argument in expression.args)
    factor, rest = expression.as_coeff_Mul()
    if expression.is_Mul and rest != expression:
        return read(rest, meaning, chain, path).times(Fraction(int(factor.p), int(factor.q)))
    raise ValueError(f"not linear with rational coefficients: {expression}")


class Oracle:
    """Chains on which lines are computed, and what the symbols of the lines mean there."""

    def __init__(self, chains: Sequence[FiniteChain], meaning: Meaning) -> None:
        self.chains, self.meaning = tuple(chains), meaning
        self._means: dict[tuple[Expr, FiniteChain], Logs] = {}

    def mean(self, expression: Expr, chain: FiniteChain) -> Logs:
        """E_q of a linear expression on a chain."""
        if (expression, chain) not in self._means:
            self._means[expression, chain] = chain.mean(
                lambda path: read(expression, self.meaning, chain, path)
            )
        return self._means[expression, chain]

    def same_mean(self, left: Expr, right: Expr, note: str, *, at_least: int = 1) -> list[Obligation]:
        """E_q[left] = E_q[right]: an equation between rational combinations of logarithms for each chain.

        Where the two differ, the equation is that of the first prime's coefficients that differ.

        Args:
            left: one side.
            right: the other side.
            note: what is compared.
            at_least: the smallest T for which it is claimed.
        """
        obligations = []
        for chain in self.chains:
            if at_least > chain.T:
                continue
            a, b = (self.mean(sympify(side), chain) for side in (left, right))
            where = f"{note}, exactly, on {chain.states} states with T = {chain.T}"
            wrong = sorted((a - b).coefficients)
            if wrong:
                unit = f"the coefficient of log {wrong[0]}" if wrong[0] > 1 else "the rational part"
                obligations.append(
                    equal(_rational(a.at(wrong[0])), _rational(b.at(wrong[0])), f"{where}: {unit}")
                )
            else:
                obligations.append(equal(a.expression, b.expression, where))
        return obligations


@dataclass(frozen=True)
class Mean:
    """`left = E_q[value]`; the part is `value`."""

    left: Expr | str
    value: Expr
    under: str = "q"

    @property
    def parts(self) -> Parts:
        """What the mean is taken of."""
        return {"value": sympify(self.value)}

    def latex(self, parts: Parts) -> str:
        """Print left = E_q[value]."""
        left = self.left if isinstance(self.left, str) else tex(self.left)
        return rf"{left} = \mathbb{{E}}_{{{self.under}}}\left[{tex(parts['value'])}\right]"


@dataclass(frozen=True)
class MeanHolds:
    """An inequality between means under q; the part is `relation`, between what the means are taken of."""

    relation: Relational

    @property
    def parts(self) -> Parts:
        """The relation, without its means."""
        return {"relation": self.relation}

    def latex(self, parts: Parts) -> str:
        """Print E_q[left] relation E_q[right]."""
        relation = parts["relation"]
        assert isinstance(relation, Relational)
        left, right = (rf"\mathbb{{E}}_{{q}}\left[{tex(side)}\right]" for side in relation.args)
        sign = {"<=": r"\leq", "<": "<", ">=": r"\geq", ">": ">"}[relation.rel_op]
        return f"{left} {sign} {right}"
