"""Numbers of the vectors: balls of Arb that hold the truth, and the decimals that are printed from them.

A ball is printed only if both of its ends round to the same decimal. So what is printed is the truth itself,
correctly rounded, whatever the working precision: the files are the same, byte for byte, on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import flint
import numpy as np

__all__ = ["DIGITS", "PRECISION_BITS", "decimal", "exact", "nearest_double", "point"]

DIGITS = 40
PRECISION_BITS = 800  # far more than is needed; `decimal` refuses a ball that is too wide


def exact(number: float | Fraction) -> flint.arb:
    """Return the ball that is this number and nothing else; exact for a float, tight for a fraction."""
    return flint.arb(flint.fmpq(*Fraction(number).as_integer_ratio()))


def point(numbers: Sequence[float]) -> Any:
    """Return an element of R^d: an object array of balls."""
    return np.array([exact(number) for number in numbers], dtype=object)


def ends(ball: flint.arb) -> tuple[Fraction, Fraction]:
    """Return both ends of a ball, exactly.

    Raises:
        ArithmeticError: if the ball is not finite.
    """
    if not ball.is_finite():
        raise ArithmeticError(f"a value must be finite; got {ball}")
    middle, radius = (_fraction(part) for part in (ball.mid(), ball.rad()))
    return middle - radius, middle + radius


def _fraction(number: flint.arb) -> Fraction:
    mantissa, exponent = (int(part) for part in number.man_exp())
    return Fraction(mantissa * 2**exponent) if exponent >= 0 else Fraction(mantissa, 2**-exponent)


def decimal(ball: flint.arb, digits: int = DIGITS) -> str:
    """Round the number in a ball to decimal digits, and prove it: both ends round to the same.

    Written as `-1.234e-5`: one digit before the point, no zeros at the end, no exponent where it is 0.

    Raises:
        ArithmeticError: if the ball is too wide to tell; a ball around zero always is.
    """
    low, high = (_rounded(end, digits) for end in ends(ball))
    if low != high:
        raise ArithmeticError(f"{digits} digits need a tighter ball than {ball.str(20)}")
    return low


def _rounded(number: Fraction, digits: int) -> str:
    if number == 0:
        return "0"
    context = Context(prec=digits, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)
    rounded = context.divide(Decimal(number.numerator), Decimal(number.denominator))
    sign, figures, _ = rounded.as_tuple()
    text = "".join(map(str, figures)).rstrip("0")
    power = rounded.adjusted()
    point = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
    return f"{'-' if sign else ''}{point}{f'e{power}' if power else ''}"


def nearest_double(ball: flint.arb) -> float:
    """Round the number in a ball to the nearest double.

    Raises:
        ArithmeticError: if the ball is too wide to tell.
    """
    low, high = (float(end) for end in ends(ball))
    if low != high:
        raise ArithmeticError(f"a double needs a tighter ball than {ball.str(20)}")
    return low
