# SPDX-License-Identifier: Apache-2.0
import json
import os

from spack_repo.builtin.build_systems.cmake import CMakePackage
from spack_repo.builtin.build_systems.cuda import CudaPackage

from spack.package import *


class Ringscale(CMakePackage, CudaPackage):
    """Runs ring attention on MPI ranks, calibrates a simulator on those runs, and judges
    published scaling claims with the evidence."""

    # The recipe lies in the tree that it builds.
    git = "file://" + os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4))

    license("Apache-2.0")

    version("main", branch="main")

    variant("tests", default=False, description="Build the tests and the Google Benchmark programs")

    depends_on("cxx", type="build")
    depends_on("cmake@3.23:", type="build")
    depends_on("mpi")
    depends_on("kokkos@4.7: +openmp")
    # FindBLAS knows the vendors' libraries; openblas is what the environment asks for.
    depends_on("blas")
    depends_on("nlohmann-json@3.10:")
    depends_on("cli11@2.1:")

    with when("+tests"):
        depends_on("googletest@1.12: +gmock")
        depends_on("benchmark@1.7:")
        depends_on("python@3.9:", type="build")
        depends_on("py-numpy", type="build")
        depends_on("py-scipy", type="build")
        depends_on("py-matplotlib", type="build")
        depends_on("py-jsonschema", type="build")
        depends_on("py-pytest", type="build")
        depends_on("py-pyyaml", type="build")

    # Everything that includes Kokkos is compiled for the device that its Kokkos was built for.
    conflicts("+cuda", when="cuda_arch=none")
    depends_on("kokkos+cuda+wrapper", when="+cuda")
    for arch in CudaPackage.cuda_arch_values:
        depends_on(f"kokkos cuda_arch={arch}", when=f"+cuda cuda_arch={arch}")

    sanity_check_is_file = [
        join_path("bin", "ringscale"),
        join_path("share", "ringscale", "experiments", "quick.json"),
    ]

    def cmake_args(self):
        options = [
            self.define_from_variant("RINGSCALE_ENABLE_TESTS", "tests"),
            self.define_from_variant("RINGSCALE_ENABLE_BENCHMARKS", "tests"),
            self.define_from_variant("RINGSCALE_ENABLE_CUDA", "cuda"),
            self.define("Kokkos_ROOT", self["kokkos"].prefix),
        ]
        if self.spec.satisfies("+tests"):
            options.append(self.define("RINGSCALE_PYTHON", self["python"].command.path))
        if self.spec.satisfies("+cuda"):
            options.append(self.define("CMAKE_CXX_COMPILER", self["kokkos"].kokkos_cxx))
        return options

    def run_document(self, *arguments):
        """The one JSON document that the installed program prints for these arguments."""
        program = which(self.prefix.bin.ringscale, required=True)
        return json.loads(program(*arguments, "--json", output=str.split, error=os.devnull))

    def test_info(self):
        """the program describes its build as JSON"""
        document = self.run_document("info")
        assert document["schema"].startswith("ringscale."), "unexpected schema"

    def test_attention(self):
        """a small attention run is valid"""
        document = self.run_document("attention", "--tokens", "257", "--query-heads", "2", "--head-dim", "64")
        assert document["verdict"] == "valid", "the result differs from the reference"
