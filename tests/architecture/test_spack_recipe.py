# SPDX-License-Identifier: Apache-2.0
"""The Spack recipe, executed for each combination of its variants with stand-ins for Spack's own modules."""

import importlib.util
import itertools
import json
import os
import py_compile
import re
import sys
import tempfile
import types
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = ROOT / "spack_repo" / "ringscale"
RECIPE = REPOSITORY / "packages" / "ringscale" / "package.py"
DIRECTIVES = ["version", "variant", "depends_on", "conflicts", "license"]


class Calls(list):
    """Every directive of a recipe as (name, arguments, keywords, enclosing when)."""

    def recorder(self, name, enclosing):
        return lambda *arguments, **keywords: self.append((name, arguments, keywords, tuple(enclosing)))

    def named(self, name):
        return [call for call in self if call[0] == name]


class When:
    """The `with when(...)` of a recipe."""

    def __init__(self, enclosing, condition):
        self.enclosing, self.condition = enclosing, condition

    def __enter__(self):
        self.enclosing.append(self.condition)

    def __exit__(self, *_):
        self.enclosing.pop()


class Spec:
    def __init__(self, variants):
        self.variants = variants

    def satisfies(self, condition):
        """Only +name and ~name, which is all that the recipe asks."""
        match = re.fullmatch(r"([+~])(\w+)", condition)
        return self.variants[match.group(2)] == (match.group(1) == "+")


class CMakePackage:
    def __init__(self, **variants):
        self.spec = Spec(variants)
        self.prefix = types.SimpleNamespace(bin=types.SimpleNamespace(ringscale="/prefix/bin/ringscale"))

    def __getitem__(self, name):
        return types.SimpleNamespace(prefix=f"/opt/{name}", kokkos_cxx="/opt/kokkos/bin/nvcc_wrapper",
                                     command=types.SimpleNamespace(path=f"/opt/{name}/bin/{name}"))

    @staticmethod
    def define(name, value):
        if isinstance(value, bool):
            return f"-D{name}:BOOL={'ON' if value else 'OFF'}"
        return f"-D{name}:STRING={value}"

    def define_from_variant(self, name, variant):
        return self.define(name, self.spec.variants[variant])


class CudaPackage:
    cuda_arch_values = ("80", "90")


def load_recipe(which=None):
    """The recipe's class and its directives."""
    calls, enclosing = Calls(), []
    package = types.ModuleType("spack.package")
    for name in DIRECTIVES:
        setattr(package, name, calls.recorder(name, enclosing))
    package.when = lambda condition: When(enclosing, condition)
    package.join_path = os.path.join
    package.which = which
    stand_ins = {"spack": types.ModuleType("spack"), "spack.package": package}
    for name, member in [("cmake", CMakePackage), ("cuda", CudaPackage)]:
        module = types.ModuleType(f"spack_repo.builtin.build_systems.{name}")
        setattr(module, member.__name__, member)
        stand_ins[module.__name__] = module
    for name in ["spack_repo", "spack_repo.builtin", "spack_repo.builtin.build_systems"]:
        stand_ins[name] = types.ModuleType(name)
    saved = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        spec = importlib.util.spec_from_file_location("ringscale_recipe", RECIPE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, old in saved.items():
            sys.modules.pop(name) if old is None else sys.modules.update({name: old})
    return module.Ringscale, calls


def definitions(arguments):
    """{"NAME": "value"} of -DNAME:TYPE=value arguments."""
    return {match.group(1): match.group(2) for match in
            (re.fullmatch(r"-D(\w+)(?::\w+)?=(.*)", argument) for argument in arguments)}


class Recipe(unittest.TestCase):
    def test_compiles(self):
        with tempfile.TemporaryDirectory() as folder:
            py_compile.compile(str(RECIPE), cfile=str(Path(folder) / "package.pyc"), doraise=True)

    def test_arguments_of_every_combination_of_variants(self):
        recipe, _ = load_recipe()
        for tests, cuda in itertools.product([False, True], repeat=2):
            with self.subTest(tests=tests, cuda=cuda):
                defined = definitions(recipe(tests=tests, cuda=cuda).cmake_args())
                self.assertEqual(defined["RINGSCALE_ENABLE_TESTS"], "ON" if tests else "OFF")
                self.assertEqual(defined["RINGSCALE_ENABLE_BENCHMARKS"], "ON" if tests else "OFF")
                self.assertEqual(defined["RINGSCALE_ENABLE_CUDA"], "ON" if cuda else "OFF")
                self.assertEqual(defined["Kokkos_ROOT"], "/opt/kokkos")
                self.assertEqual("RINGSCALE_PYTHON" in defined, tests)
                self.assertEqual(defined.get("CMAKE_CXX_COMPILER"), "/opt/kokkos/bin/nvcc_wrapper" if cuda else None)

    def test_every_argument_is_an_option_that_cmake_knows(self):
        recipe, _ = load_recipe()
        known = "".join(path.read_text() for path in [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")])
        for name in definitions(recipe(tests=True, cuda=True).cmake_args()):
            if name.startswith("RINGSCALE_"):
                self.assertRegex(known, rf"\b{name}\b")

    def test_dependencies_are_those_that_cmake_asks_for(self):
        _, calls = load_recipe()
        needed = " ".join(str(call[1][0]) for call in calls.named("depends_on"))
        for package in ["kokkos@4.7:", "mpi", "blas", "nlohmann-json@3.10:", "cli11@2.1:", "googletest", "benchmark"]:
            self.assertIn(package, needed)
        cmake = (ROOT / "cmake" / "RingscaleDependencies.cmake").read_text()
        for fragment in ["Kokkos 4.7", "nlohmann_json 3.10", "CLI11 2.1"]:
            self.assertIn(f"find_package({fragment}", cmake)
        minimum = re.search(r"cmake_minimum_required\(VERSION (\S+)\)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(f"cmake@{minimum}:", needed)

    def test_each_device_architecture_reaches_kokkos(self):
        _, calls = load_recipe()
        pairs = {(call[1][0], call[2].get("when")) for call in calls.named("depends_on")}
        for arch in CudaPackage.cuda_arch_values:
            self.assertIn((f"kokkos cuda_arch={arch}", f"+cuda cuda_arch={arch}"), pairs)
        self.assertIn(("+cuda",), {call[1] for call in calls.named("conflicts")})

    def test_variants_named_in_cmake_args_exist(self):
        _, calls = load_recipe()
        own = {call[1][0] for call in calls.named("variant")}
        used = set(re.findall(r'define_from_variant\("\w+", "(\w+)"\)', RECIPE.read_text()))
        self.assertLessEqual(used, own | {"cuda"})  # cuda comes from CudaPackage

    def test_tests_only_dependencies_do_not_reach_users(self):
        _, calls = load_recipe()
        for _, arguments, _, enclosing in calls.named("depends_on"):
            if re.match(r"googletest|benchmark|py-", arguments[0]):
                self.assertEqual(enclosing, ("+tests",))

    def test_stand_alone_tests_run_the_installed_program(self):
        documents = {"info": {"schema": "ringscale.info"}, "attention": {"verdict": "valid"}}
        commands = []

        def which(path, required):
            self.assertEqual((path, required), ("/prefix/bin/ringscale", True))

            def program(*arguments, output, error):
                commands.append(arguments)
                self.assertIs(output, str.split)
                return json.dumps(documents[arguments[0]])

            return program

        recipe, _ = load_recipe(which)
        package = recipe(tests=False, cuda=False)
        stand_alone = [name for name in dir(recipe) if name.startswith("test_")]
        for name in stand_alone:
            self.assertTrue(getattr(recipe, name).__doc__)
            getattr(package, name)()
        self.assertEqual([arguments[0] for arguments in commands], ["attention", "info"])
        documents["attention"]["verdict"] = "invalid"
        with self.assertRaises(AssertionError):
            package.test_attention()

    def test_sanity_files_are_installed(self):
        recipe, _ = load_recipe()
        self.assertIn("bin/ringscale", recipe.sanity_check_is_file)
        for name in recipe.sanity_check_is_file:
            if name.startswith("share/ringscale/"):
                self.assertTrue((ROOT / name.replace("share/ringscale/", "")).is_file(), name)


class Environment(unittest.TestCase):
    def test_repository_names_its_folder_and_interface(self):
        repository = yaml.safe_load((REPOSITORY / "repo.yaml").read_text())["repo"]
        self.assertEqual(repository["namespace"], REPOSITORY.name)
        self.assertRegex(repository["api"], r"^v2\.\d+$")

    def test_environment_builds_this_clone_with_the_recipe_in_the_tree(self):
        document = yaml.safe_load((ROOT / "spack.yaml").read_text())
        self.assertEqual(set(document), {"spack"})
        environment = document["spack"]
        self.assertEqual(environment["specs"], ["ringscale@main"])
        self.assertEqual((ROOT / environment["repos"]["ringscale"]).resolve(), REPOSITORY)
        self.assertEqual(environment["develop"]["ringscale"], {"spec": "ringscale@main", "path": "."})
        self.assertEqual(environment["packages"]["mpi"]["require"], ["mpich"])
        self.assertEqual(environment["packages"]["blas"]["require"], ["openblas"])
        self.assertIs(environment["concretizer"]["unify"], True)
        self.assertIs(environment["view"], True)


if __name__ == "__main__":
    unittest.main()
