# SPDX-License-Identifier: Apache-2.0
"""The .npy reader and writer against numpy: what numpy.save writes is read, what we write numpy.load reads."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy

SHAPE = (2, 3, 4, 5)


def bfloat16_values(bits):
    """The float32 values of bfloat16 bits: they are the upper halves of binary32."""
    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)


class Npy(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.values = numpy.random.default_rng(5).normal(size=SHAPE)

    def copy(self, file):
        return subprocess.run([os.environ["RINGSCALE_NPY_COPY"], file, self.folder / "out.npy", self.folder / "floats.npy"],
                              capture_output=True, text=True, timeout=60)

    def check_round_trip(self, array, word, floats, version=None):
        for name in ["in.npy", "out.npy", "floats.npy"]:
            (self.folder / name).unlink(missing_ok=True)
        with open(self.folder / "in.npy", "wb") as file:
            numpy.lib.format.write_array(file, array, version=version)
        done = self.copy(self.folder / "in.npy")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, word + "\n", ""))
        out = numpy.load(self.folder / "out.npy", allow_pickle=False)
        self.assertEqual((out.dtype, out.shape), (array.dtype, array.shape))
        self.assertEqual(out.tobytes(), array.tobytes())
        self.assertTrue(out.flags.c_contiguous)
        converted = numpy.load(self.folder / "floats.npy")
        self.assertEqual(converted.dtype, numpy.float32)
        numpy.testing.assert_array_equal(converted, floats)

    def test_every_type_both_ways(self):
        for version in [(1, 0), (2, 0), (3, 0)]:
            with self.subTest(version=version):
                single = self.values.astype("<f4")
                self.check_round_trip(single, "float32", single, version)
                half = self.values.astype("<f2")
                self.check_round_trip(half, "float16", half.astype("<f4"), version)
                bits = (single.view("<u4") >> 16).astype("<u2")
                self.check_round_trip(bits, "bfloat16", bfloat16_values(bits), version)

    def test_every_half_precision_number(self):
        bits = numpy.arange(65536, dtype="<u2").reshape(1, 256, 16, 16)
        self.check_round_trip(bits.view("<f2"), "float16", bits.view("<f2").astype("<f4"))
        self.check_round_trip(bits, "bfloat16", bfloat16_values(bits))

    def test_headers_are_version_1_and_aligned(self):
        for shape in [SHAPE, (1, 1, 1, 1), (1, 100000, 1, 3)]:
            array = numpy.ones(shape, "<f4")
            self.check_round_trip(array, "float32", array)
            ours, theirs = (self.folder / "out.npy").read_bytes(), (self.folder / "in.npy").read_bytes()
            self.assertEqual(ours[-array.nbytes:], theirs[-array.nbytes:])
            header = numpy.lib.format
            with open(self.folder / "out.npy", "rb") as file:
                self.assertEqual(header.read_magic(file), (1, 0))
                self.assertEqual(header.read_array_header_1_0(file), (shape, False, numpy.dtype("<f4")))
                self.assertEqual(file.tell() % 64, 0)

    def refused(self, array, *parts, **save):
        file = self.folder / "wrong.npy"
        numpy.save(file, array, **save)
        done = self.copy(file)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for part in ["wrong.npy", *parts]:
            self.assertIn(part, done.stderr)
        self.assertFalse((self.folder / "out.npy").exists())

    def test_what_is_refused(self):
        for dtype in ["<f8", "<i4", "<i8", "u1", "<u4", "?", "<c8", "S3"]:
            self.refused(self.values.astype(dtype), numpy.dtype(dtype).str, "not supported", "'<f4'")
        for dtype in [">f4", ">f2", ">u2"]:
            self.refused(self.values.astype(dtype), dtype, "big-endian")
        self.refused(numpy.asfortranarray(self.values.astype("<f4")), "Fortran order", "ascontiguousarray")
        self.refused(self.values.astype("<f4")[0], "rank 3", "[batch, tokens, heads, head_dim]")
        self.refused(numpy.float32(1), "rank 0")
        self.refused(numpy.zeros((1, 0, 2, 2), "<f4"), "extent of 0")
        self.refused(numpy.zeros(SHAPE, [("a", "<f4")]), "structured")
        self.refused(numpy.full(SHAPE, None), "|O", "not supported", allow_pickle=True)
        self.refused(self.values.astype("<f2").view("V2"), "not supported")

    def test_an_archive_is_named(self):
        numpy.savez(self.folder / "wrong.npz", q=self.values)
        done = self.copy(self.folder / "wrong.npz")
        self.assertEqual(done.returncode, 2)
        self.assertIn("npz", done.stderr)


if __name__ == "__main__":
    unittest.main()
