"""Programs out of model text: every wrapping of a right program yields a program that passes."""

from __future__ import annotations

import pytest

from polychromic.verifiers.code import run
from polychromic.verifiers.extraction import extract

# A row of our own, in HumanEval's form: imports and a helper before the function, a blank line in its body.
PROMPT = '''from typing import List


def double(n: int) -> int:
    """ Twice n. """
    return 2 * n


def largest(numbers: List[int]) -> int:
    """ The largest number, doubled.
    >>> largest([1, 3, 2])
    6
    """
'''
BODY = """    best = numbers[0]

    for n in numbers:
        if n > best:
            best = n
    return double(best)
"""
FUNCTION = PROMPT[PROMPT.index("def largest") :] + BODY
TESTS = "def check(candidate):\n    assert candidate([1, 3, 2]) == 6\n    assert candidate([-5, -7]) == -10\n"

FENCED = {
    "bare": "{}",
    "fence": "```python\n{}\n```",
    "fence without a language": "```\n{}\n```",
    "prose around a fence": "Sure! Here it is:\n\n```python\n{}\n```\n\nIt's O(n). Let me know.",
    "fence never closed": "Here you go:\n```py\n{}",
    "fence opened by the prompt": "{}\n```\nThis works because it's a scan.",
    "tildes": "~~~python\n{}\n~~~",
    "an example follows": "```python\n{}\n```\nFor example:\n```python\nprint(largest([1]) / 0)\n```",
    "an example before": "Called so:\n```python\nlargest([1, 2])\n```\nThe code:\n```python\n{}\n```",
    "helpers in a block of their own": "```python\nimport math\n```\nand\n```python\n{}\n```",
    "carriage returns": "```python\r\n{}\r\n```",
    "thoughts": "<think>\ndef largest(x): return 0\n</think>\n\n```python\n{}\n```",
    "own asserts, wrong ones too": "```python\n{}\n\nassert largest([1]) == 5\nprint(largest([]))\n```",
    "main": "{}\n\nif __name__ == '__main__':\n    raise SystemExit(1)\n",
}
PROSE = (
    "Here's the function:\n\n{}\n\nThis one isn't slow. It's linear, isn't it?",
    "from scratch, this is:\n{}\nfor the reason that it's short:",
)


def check(text: str) -> None:
    found = extract(text, PROMPT, "largest")
    assert found.program is not None, found.problem
    outcome = run(found.program, TESTS, "largest")
    assert outcome.passed, (outcome, found.program)


@pytest.mark.parametrize("wrapping", FENCED.values(), ids=FENCED.keys())
@pytest.mark.parametrize("answer", [FUNCTION, BODY, PROMPT + BODY], ids=["function", "continuation", "echo"])
def test_a_program_is_found_in_any_wrapping(wrapping, answer):
    check(wrapping.replace("{}", answer))


@pytest.mark.parametrize("wrapping", PROSE)
@pytest.mark.parametrize("answer", [FUNCTION, PROMPT + BODY], ids=["function", "echo"])
def test_a_program_in_prose_without_fences_is_found(wrapping, answer):
    check(wrapping.replace("{}", answer))


def test_a_program_in_an_indented_fence_is_found():
    indented = "\n".join("   " + line for line in FUNCTION.split("\n"))
    check(f"1. The code:\n\n   ```python\n{indented}\n   ```")


@pytest.mark.parametrize(
    "tail",
    [
        "\n\ndef smallest(numbers):\n    return min(numbers)\n",
        "\n# Test\nprint(largest([1",
        "\n\nclass Unfinished:\n    def f(self",
        "\n\nExplanation: the loop keeps the best.",
        "\nassert largest([1]) == 2",
    ],
)
def test_a_continuation_that_does_not_stop_is_cut_behind_the_program(tail):
    check(BODY + tail)


def test_a_first_indent_that_decoding_ate_is_given_back():
    check(BODY.lstrip())


def test_a_body_without_its_indent_is_indented():
    check("best = max(numbers)\nreturn double(best)")


def test_missing_imports_are_added():
    program = "def f(xs: List[int]) -> Dict:\n    return dict(Counter(xs)) if math.pi else defaultdict(list)"
    found = extract(program, "Count things.", "f")
    assert run(found.program, "assert f([1, 1]) == {1: 2}").passed
    future = extract("from __future__ import annotations\ndef f(x): return math.sqrt(x)", "", "f")
    assert run(future.program, "assert f(4) == 2").passed


def test_own_names_are_not_imported_over():
    found = extract("def f(re, string):\n    copy = re + string\n    return copy", "", "f")
    assert "import" not in found.program


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("I cannot help with that.", "no code"),
        ("Sure", "no code"),
        ("Lösung: 42", "no code"),
        ("def other(x):\n    return x", "no code"),
        ("```python\nprint('hi')\n```", "no code"),
        ("\ud800\udfff", "no code"),
        ("(" * 5000, "no code"),
        ("x" * 10_000, "no code"),
        ("これは答えです。", "no code"),
        ("\0", "no code"),
    ],
)
def test_a_text_without_a_program_says_why(text, reason):
    found = extract(text, "Write a function f.", "f")
    assert found.program is None
    assert reason in found.problem


def test_a_program_with_an_error_stays_wrong():
    found = extract("```python\ndef f(x):\n    retrun x\n```", "", "f")
    assert run(found.program, "assert f(1) == 1").status == "error"
    cut = extract("def f(x):\n    for i in range(x):\n        if i ==", "", "f")
    assert run(cut.program, "assert f(1) == 1").status == "error"


def test_a_script_is_found_where_no_function_is_asked_for():
    script = "import sys\nn = int(input())\nprint(n * 2)"
    for text in (script, f"Here:\n```python\n{script}\n```\nDone."):
        assert run(extract(text).program, [{"input": "4\n", "output": "8"}]).passed
    assert extract("It is 8.").program is None


def test_a_class_or_an_assigned_name_may_be_the_entry_point():
    assert extract("f = lambda x: x", "", "f").program
    assert extract("class Stack:\n    pass", "", "Stack").program


def test_deep_nesting_costs_no_crash():
    assert extract("def f(x):\n    return " + "(" * 300 + "x" + ")" * 300, "", "f").program
    assert extract("def f(x):\n    return " + "-" * 100_000 + "x", "", "f").program
