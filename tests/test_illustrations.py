"""A chapter shows a picture by its name; one that there is not fails the build."""

from __future__ import annotations

import pytest

from derivations.proof.illustrations import PAGE, illustrated


def test_a_picture_comes_in_both_colours_with_its_words_and_its_page() -> None:
    shown = illustrated("Before.\n\n<!-- picture posterior -->\n\nAfter.", "posterior.py")
    drawn = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("![") and "](posterior." in line
    ]
    assert len(drawn) == 2
    for line in drawn:
        assert line.replace("](posterior.", "](../pictures/posterior.") in shown
    assert "(../pictures/index.md#what-the-posterior-listens-to)" in shown
    assert shown.startswith("Before.")
    assert shown.endswith("After.")


def test_a_picture_that_is_not_there_is_named_with_its_chapter() -> None:
    with pytest.raises(ValueError, match=r"posterior\.py shows the picture 'posteriors'"):
        illustrated("<!-- picture posteriors -->", "posterior.py")
