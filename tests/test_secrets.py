"""No key and no password is in the files or was ever in their history."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# How the keys of common services begin, private keys, and a password in an address.
KEYS = "|".join(
    (
        "-----BEGIN [A-Z ]*PRIVATE KEY",
        "AKIA[0-9A-Z]{16}",
        "AIza[0-9A-Za-z_-]{35}",
        "gh[pousr]_[A-Za-z0-9]{36}",
        "github_pat_[A-Za-z0-9_]{20}",
        "glpat-[A-Za-z0-9_-]{20}",
        "hf_[A-Za-z0-9]{30}",
        "pypi-AgE[A-Za-z0-9_-]{20}",
        "sk-[A-Za-z0-9_-]{32}",
        "xox[abprs]-[A-Za-z0-9-]{10}",
        r"eyJ[A-Za-z0-9_-]{15,}\.eyJ",
        "://[^/ :@]+:[^/ @]+@",
    )
)


def git(folder: Path, *arguments: str) -> list[str]:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    assert done.returncode <= (arguments[0] == "grep"), done.stderr  # grep answers 1 where it finds nothing
    return done.stdout.splitlines()


def in_files(folder: Path) -> list[str]:
    return git(folder, "grep", "--untracked", "--line-number", "-I", "-E", "-e", KEYS)


def in_history(folder: Path) -> list[str]:
    """List the commits that bring a key or take one away."""
    return git(folder, "log", "--all", "--format=%h %s", f"-G{KEYS}")


@pytest.fixture(autouse=True)
def _with_git() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")


def test_no_file_holds_a_key() -> None:
    assert in_files(ROOT) == []


def test_no_commit_held_a_key() -> None:
    assert in_history(ROOT) == []


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "token = 'hf_" + "a1B2c3" * 6 + "'",
        "https://me:" + "word@example.org/simple",
    ],
)
def test_a_key_is_found_and_found_when_it_is_gone(secret: str, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    file = tmp_path / "settings.txt"
    file.write_text(secret, encoding="utf-8")
    assert len(in_files(tmp_path)) == 1
    for text in (secret, "nothing"):
        file.write_text(text, encoding="utf-8")
        git(tmp_path, "add", "settings.txt")
        git(tmp_path, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "a change")
    assert in_files(tmp_path) == []
    assert len(in_history(tmp_path)) == 2
