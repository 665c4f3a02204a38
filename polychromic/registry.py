"""Registries: whatever a study chooses by name, each choice declared once, in the module that implements it.

A registry knows its built-in choices by the module that declares them, one line each, and imports that module
when the choice is first used. So a job loads only what its settings ask for, and its stamp knows that code
(`workflow.stamps`). A study's own choices come from Python files outside the package (`plugins:` in its YAML).

    VERIFIERS = Registry("verifier", {"answer": "polychromic.verifiers.answer"})

    @VERIFIERS.register("answer")
    class AnswerVerifier:
        \"\"\"An answer passes if it matches an accepted one.\"\"\"    # the docs line

What else a choice declares (its label, its settings, what it needs) is said where its registry is made.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from polychromic.errors import StudyError, nearest

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """The choices of one kind, by name, in the order in which they are declared.

    Args:
        what: what a choice is, for messages: "verifier".
        modules: {name: the module that registers it}.
    """

    def __init__(self, what: str, modules: Mapping[str, str]) -> None:
        self.what = what
        self._modules = dict(modules)
        self._found: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Declare the decorated class or function as the choice `name`.

        Raises:
            StudyError: another module has declared this name.
        """

        def declare(thing: T) -> T:
            module = thing.__module__
            if self._modules.setdefault(name, module) != module:
                raise StudyError(
                    f"{self.what} {name!r} is declared in {self._modules[name]} and in {module}: rename one."
                )
            self._found[name] = thing
            return thing

        return declare

    def known(self, name: str) -> str:
        """The name, if there is such a choice. Imports nothing.

        Raises:
            StudyError: there is none; names the nearest, or all.
        """
        if name not in self._modules:
            raise StudyError(f"{self.what} {name!r} is unknown{nearest(str(name), self._modules)}.")
        return name

    def __getitem__(self, name: str) -> T:
        """The choice of this name.

        Raises:
            StudyError: there is none.
        """
        self.known(name)
        if name not in self._found:
            importlib.import_module(self._modules[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._modules))

    def __len__(self) -> int:
        return len(self._modules)

    def module_of(self, name: str) -> str:
        """The module that declares a choice, whether it has been imported or not."""
        return self._modules[name]


PLUGIN = "polychromic_plugin_"


def load_plugins(files: Sequence[str]) -> None:
    """Import Python files outside the package, each once, so that they register their choices.

    Raises:
        StudyError: naming a file that is missing or that fails.
    """
    for file in files:
        path = Path(file).resolve()
        name = plugin_module(file)
        if name in sys.modules:
            continue
        if not path.is_file():
            raise StudyError(f"plugins: {file} does not exist. Give a Python file's path from the project's root.")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise StudyError(f"plugins: {file} cannot be imported: {type(error).__name__}: {error}") from error


def plugin_module(file: str) -> str:
    """The name under which a plugin file is imported: the same for the same path."""
    path = Path(file).resolve()
    return f"{PLUGIN}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
