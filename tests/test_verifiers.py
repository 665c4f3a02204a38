"""Verifiers are chosen by name, with their own settings; a user can add one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome, make_verifier
from polychromic.verifiers.calibration import calibrate_verifier


def test_an_unknown_kind_or_a_missing_part_is_named():
    with pytest.raises(StudyError, match="'magic' is unknown"):
        make_verifier("magic")
    with pytest.raises(StudyError, match="needs an encoder"):
        make_verifier("similarity")


@pytest.mark.parametrize("kind", VERIFIERS)
def test_a_verifier_is_declared_in_its_own_module(kind):
    choice = VERIFIERS[kind]
    assert choice.__module__ == VERIFIERS.module_of(kind)
    assert choice.Settings.model_fields["kind"].annotation == Literal[kind]
    assert set(choice.needs) <= {"encoder", "calibration", "judge"}
    assert choice.__doc__


def test_settings_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="min_words"):
        make_verifier("answer", min_words=3)
    with pytest.raises(ValueError, match="timeout"):
        make_verifier("code", timeout=-1)


def test_a_verifier_of_ones_own(monkeypatch):
    class Mine(Settings):
        kind: Literal["mine"]
        word: str = "yes"

    monkeypatch.setattr(VERIFIERS, "_modules", {**VERIFIERS._modules})
    monkeypatch.setattr(VERIFIERS, "_found", {**VERIFIERS._found})

    @VERIFIERS.register("mine")
    @dataclass(frozen=True)
    class MyVerifier:
        """A text passes if it says the word."""

        Settings, needs, gives, hide_target = Mine, (), (), False
        settings: Mine

        def well_formed(self, texts, record):
            return [True for _ in texts]

        def verify(self, texts, record, finishes=None):
            passed = [self.settings.word in text for text in texts]
            return [Outcome(each, "passed" if each else "failed", float(each)) for each in passed]

    records = [Record("a", "?", "yes"), Record("b", "?", "no, yes")]
    verifier = make_verifier("mine", encode=None)
    assert [outcome.passed for outcome in verifier.verify(["yes", "no"], records[0])] == [True, False]
    assert calibrate_verifier(verifier, records)["true_pass"] == 1.0
