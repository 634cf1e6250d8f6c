"""The package itself: its stubs' documentation, what importing it costs, free threads."""

import ast
import doctest
import gc
import inspect
import subprocess
import sys
import sysconfig
import weakref
from pathlib import Path

import pytest
import tidegate
from conftest import ROOT
from tidegate import _native

STUB = Path(_native.__file__).with_name("_native.pyi")


def documented(tree, scope):
    """Every class and function of the stub that has documentation, with its runtime twin."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            twin = vars(scope)[node.name]
            if ast.get_docstring(node):
                yield node.name, ast.get_docstring(node), twin.__doc__
            if isinstance(node, ast.ClassDef):
                yield from documented(node, twin)


def test_stub_and_runtime_say_the_same():
    pairs = list(documented(ast.parse(STUB.read_text()), _native))
    assert len(pairs) > 60
    for name, stub, runtime in pairs:
        assert stub == inspect.cleandoc(runtime or ""), name


@pytest.mark.parametrize("name", tidegate.__all__)
def test_everything_public_is_documented(name):
    public = getattr(tidegate, name)
    assert public.__doc__
    is_os_error = isinstance(public, type) and issubclass(public, OSError)
    inherited = OSError if is_os_error else BaseException  # Python documents its own
    for attribute, member in inspect.getmembers(public):
        if not attribute.startswith("_") and not hasattr(inherited, attribute):
            assert inspect.getdoc(member), attribute


def test_the_examples_of_the_documentation():
    names = {"tidegate": tidegate}
    for example in doctest.DocTestFinder().find(tidegate.Limiter, "Limiter", globs=names):
        assert doctest.DocTestRunner().run(example).failed == 0, example.name


def test_the_examples_of_native_methods():
    names = {"tidegate": tidegate}
    run = 0
    for example in doctest.DocTestFinder().find(_native.Limiter, "Limiter", globs=names):
        outcome = doctest.DocTestRunner().run(example)
        assert outcome.failed == 0, example.name
        run += outcome.attempted
    assert run > 0


def test_version():
    cargo = (ROOT / "Cargo.toml").read_text()
    assert f'version = "{tidegate.__version__}"' in cargo


def test_importing_is_light():
    heavy = {"asyncio", "inspect", "json", "threading", "dataclasses", "datetime", "typing"}
    script = f"import tidegate, sys; print(sorted({heavy!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", script], capture_output=True, text=True
    )
    before = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; print(sorted({heavy!r} & set(sys.modules)))"],
        capture_output=True,
        text=True,
    )
    assert run.stdout == before.stdout


def test_declares_that_it_needs_no_gil():
    assert "gil_used = false" in (ROOT / "bindings-python" / "src" / "lib.rs").read_text()
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert not sys._is_gil_enabled()


def test_a_limiter_dies_with_its_last_reference(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    gone = weakref.ref(limiter)
    reservation = limiter.reserve("a", 3)
    del limiter
    gc.collect()
    assert gone() is None
    reservation.cancel()  # it holds what it needs


def test_attributes_cannot_be_invented():
    with pytest.raises(AttributeError):
        tidegate.Limiter("5/minute").max_keys = 5


def test_the_example_of_a_native_function():
    names = {"tidegate": tidegate}
    (example,) = doctest.DocTestFinder().find(tidegate.hash_secret, "hash_secret", globs=names)
    outcome = doctest.DocTestRunner().run(example)
    assert (outcome.attempted, outcome.failed) == (1, 0)
