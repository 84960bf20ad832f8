"""What pages mention between backticks must exist."""

import pytest

from derivations.proof import mentions, render


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("as `posterior.meen` says", "no claim is called `posterior.meen`"),
        (
            "call `ddpm_ref.process.q_posteriorr`",
            "nothing in the code is called `ddpm_ref.process.q_posteriorr`",
        ),
        (
            "call `ddpm_ref.schedule.Schedule.alhpa`",
            "nothing in the code is called `ddpm_ref.schedule.Schedule.alhpa`",
        ),
        ("at D2:99999", "there is no line D2:99999"),
        ("at D9:1", "there is no line D9:1"),
    ],
)
def test_a_mention_of_what_does_not_exist_is_named_with_its_place(said: str, problem: str) -> None:
    assert mentions.wrong({"guides/a.md": f"# A\n\n{said}\n"}) == [f"docs/guides/a.md:3: {problem}"]


def test_what_exists_may_be_mentioned_and_code_may_say_anything() -> None:
    text = "`posterior.mean`, `ddpm_ref.process.q_posterior`, D2:107, `metrics.json`"
    block = "```sh\n`posterior.meen`\n```"
    assert mentions.wrong({"a.md": f"{text}\n\n{block}\n"}) == []


def test_the_pages_mention_only_what_exists() -> None:
    pages = {path.relative_to(render.DOCS).as_posix(): path for path in render.DOCS.rglob("*.md")}
    assert mentions.wrong({name: path.read_text(encoding="utf-8") for name, path in pages.items()}) == []
