"""Import this first: the rest of the script then runs where torch is loaded already (see polychromic/warm.py)."""

from polychromic.warm import hand_over

hand_over()
