"""The bank of mistakes: those that public code has made, each as an edit of the reference that tests catch.

`tests/test_mistakes.py` makes them one at a time and calls the tests that must fail; `checks/bugs.py` has
pytest run them and writes the page.
"""

from tests.mistakes.mistake import Mistake
from tests.mistakes.scores import SCORES
from tests.mistakes.tables import TABLES
from tests.mistakes.walks import WALKS

__all__ = ["MISTAKES", "Mistake"]

MISTAKES: tuple[Mistake, ...] = (*TABLES, *WALKS, *SCORES)
