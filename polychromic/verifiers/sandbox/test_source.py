"""What a record's tests use and call, read from their source."""

from __future__ import annotations

import ast
import builtins
import sys

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

# What tests may consist of to leave no trace in their process: no assignment but to names of their own, and no call
# but of the candidate, of methods of values, and of these.
_PLAIN_BUILTINS = {
    "abs", "all", "any", "bool", "bytes", "chr", "complex", "dict", "divmod", "enumerate", "filter", "float",
    "frozenset", "hash", "int", "isinstance", "len", "list", "map", "max", "min", "ord", "pow", "range", "repr",
    "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type", "zip", "AssertionError",
    "Exception", "IndexError", "KeyError", "TypeError", "ValueError", "ZeroDivisionError",
}  # fmt: skip
_PLAIN_MODULES = frozenset({"math", "cmath", "collections", "copy", "fractions", "itertools", "typing"})
_PLAIN_NODES = (
    ast.mod, ast.FunctionDef, ast.arguments, ast.arg, ast.Assert, ast.Expr, ast.Assign, ast.AugAssign, ast.For,
    ast.If, ast.While, ast.Try, ast.ExceptHandler, ast.Raise, ast.Pass, ast.Break, ast.Continue, ast.Return,
    ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.Constant,
    ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
    ast.comprehension, ast.Call, ast.keyword, ast.Name, ast.expr_context, ast.Subscript, ast.Slice, ast.Starred,
    ast.Lambda, ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.Attribute, ast.Import, ast.ImportFrom, ast.alias,
)  # fmt: skip


def leaves_no_trace(tree: ast.AST) -> bool:
    """Whether tests can be followed by others in the same process: they change nothing that outlives them."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                plain = isinstance(node.ctx, ast.Load) and not node.attr.startswith("_")
            case ast.Name():
                plain = isinstance(node.ctx, ast.Load) or not hasattr(builtins, node.id)
                plain &= node.id in _PLAIN_BUILTINS or not hasattr(builtins, node.id)
                plain &= node.id in _PLAIN_MODULES or node.id not in sys.stdlib_module_names
            case ast.Import():
                plain = all(alias.name in _PLAIN_MODULES for alias in node.names)
            case ast.ImportFrom():
                plain = node.module in _PLAIN_MODULES
            case _:
                plain = isinstance(node, _PLAIN_NODES)
        if not plain:
            return False
    return True


def free_names(tree: ast.AST, entry_point: str | None) -> tuple[set[str], set[str]]:
    """Names that tests use and do not define: modules of the standard library, and what the candidate must
    define.
    """
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if not isinstance(node.ctx, ast.Load)} | set(vars(builtins))
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.alias):
            own.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            own.add(node.name)
    own.add("__name__")
    free = _loaded(tree) - own
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    bare = {node.id for node in names if id(node) not in bases}
    modules = {name for name in free & sys.stdlib_module_names if name not in bare and name != entry_point}
    return modules, free - modules


def reaches_candidate(tree: ast.Module, kind: str, entry_point: str | None) -> bool:
    """Whether running these tests can reach anything of the candidate's: at the top level, or in functions and
    classes that are named there in turn. `kind`: "asserts", or "check", which calls `check(candidate)`.
    """
    wanted = free_names(tree, entry_point)[1] | ({entry_point} if entry_point else set())
    bodies: dict[str, set[str]] = {}
    reached: set[str] = set()
    for node in tree.body:
        if isinstance(node, _FUNCTIONS):
            bodies.setdefault(node.name, set()).update(_loaded(node))
        elif not (isinstance(node, ast.If) and "__name__" in _loaded(node.test)):
            reached |= _loaded(node)
    if kind == "check":
        reached.add("check")
        wanted |= {
            node.args.args[0].arg
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name == "check" and node.args.args
        }
    while more := {name for known in reached & bodies.keys() for name in bodies[known]} - reached:
        reached |= more
    return bool(reached & wanted)


def _loaded(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
