"""Plain text as LaTeX source."""

from __future__ import annotations

import re

# Characters that pdflatex cannot take as they are.
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "λ": r"$\lambda$",
    "Δ": r"$\Delta$", "×": r"$\times$", "−": r"$-$", "–": "--", "≥": r"$\ge$", "≤": r"$\le$", "±": r"$\pm$",
    "→": r"$\to$", "’": "'", "“": "``", "”": "''", "…": r"\dots{}", "·": r"$\cdot$",
}  # fmt: skip


def latex(text: str) -> str:
    """Plain text as LaTeX source: special characters escaped, Greek and mathematical signs translated."""
    text = re.sub(r"(?<![\w.])-(?=[.\d])", "−", text)  # a minus, not a hyphen that a line may break at
    # Other scripts and signs can only come from a user's own names: shown by number.
    plain = (_LATEX.get(c) or (c if ord(c) < 0x180 else f"[U+{ord(c):04X}]") for c in text)
    return "".join(plain)
