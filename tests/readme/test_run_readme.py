"""The README's test sees what it should see."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import run_readme
from run_readme import Failure


def fenced(*blocks: tuple[str, str]) -> list[run_readme.Block]:
    markdown = "\n".join(f"Text.\n\n```{language}\n{text}```\n" for language, text in blocks)
    return run_readme.blocks(markdown)


class ReadmeTest(unittest.TestCase):
    def test_blocks_keep_language_text_and_line(self) -> None:
        found = fenced(("python", "print(1)\n\nprint(2)\n"), ("", "plain\n"))
        self.assertEqual(found, [("python", "print(1)\n\nprint(2)\n", 3), ("", "plain\n", 11)])

    def test_a_missing_language_is_named(self) -> None:
        found = fenced(*((language, "\n") for language in ("rust", "c", "python", "toml")))
        with self.assertRaisesRegex(Failure, "no block of: js"):
            run_readme.check_complete(found)

    def test_a_program_needs_its_output(self) -> None:
        for blocks in [[("python", "print(1)\n")], [("c", "\n"), ("python", "\n"), ("text", "\n")]]:
            with self.assertRaisesRegex(Failure, "not followed by a text block"):
                run_readme.programs(fenced(*blocks))

    def check_python(self, text: str, expected: str) -> None:
        [(block, output)] = run_readme.programs(fenced(("python", text), ("text", expected)))
        with tempfile.TemporaryDirectory() as work:
            tools = run_readme.Tools(Path(work), Path(work), Path(work))
            run_readme.check_program(block, output, Path(work) / "program", tools)

    def test_other_output_is_shown(self) -> None:
        self.check_python("print(1)\n", "1\n")
        with self.assertRaisesRegex(Failure, r"(?s)prints something else.*-2.*\+1"):
            self.check_python("print(1)\n", "2\n")

    def test_a_program_that_fails_is_no_program(self) -> None:
        with self.assertRaisesRegex(Failure, r"(?s)ended with 3"):
            self.check_python("print(1); raise SystemExit(3)\n", "1\n")


if __name__ == "__main__":
    unittest.main()
