"""Runs the programs of the README and of other pages as they stand there, and compares what they print.

Every fenced block of C, JavaScript, Python or Rust is a whole program, and the fenced block after it
(`text`) is what it prints. Every `toml` block is a policy. Nothing is put around a program and
nothing is left out of it: a reader who pastes it gets the same.

Run it with the Python that has the package. C is compiled against the tree that `make install`
left in --prefix, Rust as a project of its own with a path dependency, Node with the package linked.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("rust", "c", "python", "js")
FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Failure(Exception):
    """What is wrong with the README, or with a program in it."""


class Block(NamedTuple):
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"the {self.language} block at line {self.line}"


class Tools(NamedTuple):
    """Where things are: a folder to work in, the installed tree, cargo's target folder."""

    work: Path
    prefix: Path
    target: Path


def blocks(markdown: str) -> list[Block]:
    return [
        Block(found[1], found[2], markdown.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(markdown)
    ]


def programs(found: list[Block]) -> list[tuple[Block, str]]:
    """Each program with what it should print."""
    paired = []
    for block, following in zip(found, [*found[1:], None]):
        if block.language in LANGUAGES:
            if following is None or following.language != "text":
                raise Failure(f"{block} is not followed by a text block with what it prints")
            paired.append((block, following.text))
    return paired


def check_complete(found: list[Block]) -> None:
    present = {block.language for block in found}
    missing = [language for language in (*LANGUAGES, "toml") if language not in present]
    if missing:
        raise Failure(f"no block of: {', '.join(missing)}")


def run(command: list[str | Path], cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True
    )
    if done.returncode != 0:
        shown = shlex.join(str(word) for word in command)
        raise Failure(f"`{shown}` ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def run_c(text: str, folder: Path, tools: Tools) -> str:
    (folder / "program.c").write_text(text)
    flags = c_flags(tools.prefix)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    strict = ["-Wall", "-Wextra", "-Werror"]
    run([*compiler, *strict, "program.c", "-o", "program", *flags], folder)
    return run(["./program"], folder, LD_LIBRARY_PATH=str(tools.prefix / "lib"))


def c_flags(prefix: Path) -> list[str]:
    """What pkg-config prints, or what it would print where it is missing."""
    if shutil.which("pkg-config") is None:
        print("pkg-config is not installed: its flags are written out")
        return [f"-I{prefix}/include", f"-L{prefix}/lib", "-ltidegate"]
    command = ["pkg-config", "--cflags", "--libs", "tidegate"]
    return shlex.split(run(command, ROOT, PKG_CONFIG_PATH=str(prefix / "lib" / "pkgconfig")))


def run_python(text: str, folder: Path, tools: Tools) -> str:
    (folder / "program.py").write_text(text)
    # -P: the package is the installed one, not what happens to lie beside the program.
    isolated = ["-P"] if sys.version_info >= (3, 11) else []
    return run([sys.executable, *isolated, "program.py"], folder)


def run_js(text: str, folder: Path, tools: Tools) -> str:
    (folder / "program.js").write_text(text)
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "tidegate").symlink_to(ROOT / "bindings-node", target_is_directory=True)
    return run(["node", "program.js"], folder)


# `[workspace]`: a project of its own, though it lies inside the checkout.
MANIFEST = """\
[package]
name = "readme"
version = "0.0.0"
edition = "2024"

[dependencies]
tidegate = {{ path = "{core}" }}

[workspace]
"""


def run_rust(text: str, folder: Path, tools: Tools) -> str:
    (folder / "src").mkdir()
    (folder / "src" / "main.rs").write_text(text)
    (folder / "Cargo.toml").write_text(MANIFEST.format(core=ROOT / "core"))
    # The workspace's versions, which are here already: nothing is fetched.
    shutil.copy(ROOT / "Cargo.lock", folder)
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "run", "--quiet", "--offline"]
    return run(command, folder, CARGO_TARGET_DIR=str(tools.target))


RUNNERS = {"c": run_c, "python": run_python, "js": run_js, "rust": run_rust}


def check_program(block: Block, expected: str, folder: Path, tools: Tools) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        printed = RUNNERS[block.language](block.text, folder, tools)
    except Failure as failure:
        raise Failure(f"{block}: {failure}") from None
    if printed != expected:
        lines = difflib.unified_diff(
            expected.splitlines(), printed.splitlines(), "README", "printed", lineterm=""
        )
        raise Failure(f"{block} prints something else:\n" + "\n".join(lines))


def check_policy(block: Block) -> None:
    import tidegate

    try:
        tidegate.Limiter(block.text)
    except tidegate.PolicyError as error:
        raise Failure(f"{block} is no policy: {error}") from None


def check(page: Path, tools: Tools) -> None:
    found = blocks(page.read_text(encoding="utf-8"))
    if page.name == "README.md":
        check_complete(found)
    for number, (block, expected) in enumerate(programs(found)):
        folder = tools.work / f"{page.stem}-{number}-{block.language}"
        check_program(block, expected, folder, tools)
        print(f"{page.name}: {block} runs and prints what it says")
    for block in found:
        if block.language == "toml":
            check_policy(block)
            print(f"{page.name}: {block} is a policy")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--prefix", type=Path, required=True, help="where `make install` put it")
    parser.add_argument("--target", type=Path, required=True, help="cargo's target folder")
    parser.add_argument("pages", type=Path, nargs="*", default=[ROOT / "README.md"])
    given = parser.parse_args()
    tools = Tools(given.work.resolve(), given.prefix.resolve(), given.target.resolve())
    for page in given.pages:
        try:
            check(page, tools)
        except Failure as failure:
            print(f"{page}: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
