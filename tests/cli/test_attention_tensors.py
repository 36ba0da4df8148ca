# SPDX-License-Identifier: Apache-2.0
"""`ringscale attention` on tensors of the user, against NumPy in double precision."""

import json
import unittest

import numpy as np
from attention_by_numpy import attention, dense_multiplicity, dilated_multiplicity, from_bfloat16, to_bfloat16
from program import CommandLineTest, run

# Largest error of float32 results on normally distributed data of these sizes; a scale that is off by 1 % is 40 times it.
TOLERANCE = 2e-5
# Storage of the output in two bytes: half a unit in the last place of values up to 4, and rounded weights.
STORAGE_TOLERANCE = {"float16": 2 ** -9, "bfloat16": 2 ** -6}


class AttentionTensors(CommandLineTest):
    def tensors(self, batch, queries, keys, heads, kv_heads, head_dim, seed=1, dtype="float32"):
        """Query, key, value and output gradient as the program and as NumPy see them, saved as .npy files."""
        for path in self.folder.glob("*.npy"):
            path.unlink()
        random = np.random.default_rng(seed)
        shapes = {"q": (batch, queries, heads, head_dim), "k": (batch, keys, kv_heads, head_dim),
                  "v": (batch, keys, kv_heads, head_dim), "g": (batch, queries, heads, head_dim)}
        seen = {}
        for name, shape in shapes.items():
            tensor = random.standard_normal(shape).astype(np.float32)
            stored = {"float32": lambda t: t, "float16": lambda t: t.astype(np.float16), "bfloat16": to_bfloat16}[dtype](tensor)
            np.save(self.folder / f"{name}.npy", stored)
            seen[name] = from_bfloat16(stored) if dtype == "bfloat16" else stored.astype(np.float32)
        return seen

    def flags(self, *extra, gradient=False):
        files = ["--query", "q.npy", "--key", "k.npy", "--value", "v.npy", "--output", "o.npy"]
        if gradient:
            files += ["--gradient", "g.npy", "--gradient-output-prefix", "d"]
        return ["attention", *files, *map(str, extra)]

    def attend(self, *extra, gradient=False):
        result = run(self.flags(*extra, gradient=gradient), cwd=self.folder)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return np.load(self.folder / "o.npy")

    def assert_near(self, found, expected, tolerance, what=""):
        self.assertEqual(found.shape, expected.shape, what)
        error = np.abs(np.asarray(found, dtype=np.float64) - expected).max()
        self.assertTrue(error <= tolerance, f"{what}: largest error {error} > {tolerance}")

    def test_dense_of_any_lengths(self):
        for batch, queries, keys, heads, kv_heads, head_dim in [(1, 1, 1, 1, 1, 1), (2, 65, 130, 4, 2, 40), (1, 130, 7, 3, 1, 64),
                                                                (1, 1, 300, 8, 8, 128), (1, 300, 1, 2, 2, 17)]:
            for causal in [False, True]:
                with self.subTest(f"{batch} {queries} {keys} {heads}/{kv_heads} {head_dim} {causal}"):
                    data = self.tensors(batch, queries, keys, heads, kv_heads, head_dim)
                    output = self.attend("--mask", "causal" if causal else "none")
                    expected, _, _ = attention(data["q"], data["k"], data["v"], dense_multiplicity(heads, queries, keys, causal))
                    self.assert_near(output, expected, TOLERANCE)

    def test_gradients_of_any_lengths(self):
        for queries, keys, heads, kv_heads, head_dim in [(1, 1, 1, 1, 8), (1, 200, 4, 4, 64), (200, 1, 4, 2, 64), (70, 131, 6, 2, 33)]:
            for kernel in ["streamed", "materialised"]:
                with self.subTest(f"{kernel} {queries} {keys} {heads}/{kv_heads} {head_dim}"):
                    data = self.tensors(2, queries, keys, heads, kv_heads, head_dim)
                    self.attend("--mask", "causal", "--kernel", kernel, gradient=True)
                    times = dense_multiplicity(heads, queries, keys, True)
                    _, _, gradients = attention(data["q"], data["k"], data["v"], times, data["g"])
                    for name, expected in zip("qkv", gradients):
                        self.assert_near(np.load(self.folder / f"d{name}.npy"), expected, TOLERANCE * max(1, np.abs(expected).max()),
                                         name)

    def test_dilated(self):
        for convention in ["split", "longnet", "longnet_blocked"]:
            for causal in [False, True]:
                with self.subTest(f"{convention} {causal}"):
                    data = self.tensors(1, 300, 300, 5, 5, 32)
                    output = self.attend("--pattern", "dilated", "--segment-lengths", "64,128,1000", "--dilation-rates", "1,2,3",
                                         "--dilation-convention", convention, "--mask", "causal" if causal else "none", gradient=True)
                    times = dilated_multiplicity(5, 300, 300, [64, 128, 1000], [1, 2, 3], convention, causal)
                    expected, _, gradients = attention(data["q"], data["k"], data["v"], times, data["g"])
                    self.assert_near(output, expected, TOLERANCE)
                    for name, gradient in zip("qkv", gradients):
                        self.assert_near(np.load(self.folder / f"d{name}.npy"), gradient, TOLERANCE * max(1, np.abs(gradient).max()),
                                         name)

    def test_two_byte_storage(self):
        for dtype, tolerance in STORAGE_TOLERANCE.items():
            with self.subTest(dtype):
                data = self.tensors(1, 150, 150, 4, 2, 64, dtype=dtype)
                stored = self.attend("--mask", "causal")
                self.assertEqual(stored.dtype, np.uint16 if dtype == "bfloat16" else np.float16)
                output = from_bfloat16(stored) if dtype == "bfloat16" else stored
                expected, _, _ = attention(data["q"], data["k"], data["v"], dense_multiplicity(4, 150, 150, True))
                self.assert_near(output, expected, tolerance * max(1, np.abs(expected).max()))

    def test_boolean_mask(self):
        for causal in [False, True]:
            with self.subTest(causal):
                data = self.tensors(2, 40, 70, 4, 2, 24)
                mask = np.random.default_rng(3).random((40, 70)) < 0.3
                mask[5] = False  # a row that sees nothing
                np.save(self.folder / "m.npy", mask)
                output = self.attend("--kernel", "materialised", "--boolean-mask", "m.npy", "--mask", "causal" if causal else "none",
                                     gradient=True)
                times = dense_multiplicity(4, 40, 70, causal) * mask
                expected, _, gradients = attention(data["q"], data["k"], data["v"], times, data["g"])
                self.assert_near(output, expected, TOLERANCE)
                self.assertEqual(np.abs(output[:, 5]).max(), 0)
                for name, gradient in zip("qkv", gradients):
                    self.assert_near(np.load(self.folder / f"d{name}.npy"), gradient, TOLERANCE * max(1, np.abs(gradient).max()), name)

    def test_the_comparison_can_fail(self):
        data = self.tensors(1, 64, 64, 2, 2, 64)
        output = self.attend()
        times = dense_multiplicity(2, 64, 64)
        for what, wrong in [("scale", attention(data["q"], data["k"], data["v"], times, scale=1.01 / 8)[0]),
                            ("mask", attention(data["q"], data["k"], data["v"], dense_multiplicity(2, 64, 64, True))[0]),
                            ("heads", attention(data["q"], data["k"][:, :, ::-1], data["v"], times)[0])]:
            with self.subTest(what):
                with self.assertRaises(AssertionError):
                    self.assert_near(output, wrong, TOLERANCE)

    def test_positions_of_the_queries(self):
        data = self.tensors(1, 10, 50, 1, 1, 16)
        output = self.attend("--mask", "causal", "--query-position-begin", 40)
        expected, _, _ = attention(data["q"], data["k"], data["v"], dense_multiplicity(1, 10, 50, True, 40))
        self.assert_near(output, expected, TOLERANCE)

    def test_nan_of_the_user_is_not_valid(self):
        for name, gradient in [("q", False), ("v", False), ("k", True), ("g", True)]:
            with self.subTest(name):
                self.tensors(1, 8, 8, 1, 1, 8)
                value = np.load(self.folder / f"{name}.npy")
                value[0, 3, 0, 0] = np.nan
                np.save(self.folder / f"{name}.npy", value)
                result = run(self.flags("--json", gradient=gradient), cwd=self.folder)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertEqual(json.loads(result.stdout)["verdict"], "invalid")

    def test_results_too_large_for_their_file_are_not_valid(self):
        self.tensors(1, 20, 20, 2, 2, 8, dtype="float16")
        np.save(self.folder / "g.npy", np.full((1, 20, 2, 8), 60000, dtype=np.float16))
        result = run(self.flags(gradient=True), cwd=self.folder)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("too large for float16", result.stdout)

    def test_scores_too_large_to_be_checked_are_not_valid(self):
        self.tensors(1, 20, 20, 2, 2, 8)
        np.save(self.folder / "q.npy", np.load(self.folder / "q.npy") * np.float32(1e6))
        result = run(self.flags(), cwd=self.folder)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("too large to be checked", result.stdout)

    def test_results_that_would_meet_in_one_file(self):
        self.tensors(1, 8, 8, 1, 1, 8)
        result = run(["attention", "--query", "q.npy", "--key", "k.npy", "--value", "v.npy", "--gradient", "g.npy", "--output",
                      "./xq.npy", "--gradient-output-prefix", "x"], cwd=self.folder)
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (2, 1), result.stderr)
        self.assertFalse((self.folder / "xq.npy").exists())

    def refuse(self, fragments, *extra, gradient=False):
        before = sorted(self.folder.iterdir())
        result = run(self.flags(*extra, gradient=gradient), cwd=self.folder)
        what = result.stdout + result.stderr
        self.assertEqual(result.returncode, 2, what)
        self.assertEqual(len(result.stderr.splitlines()), 1, what)
        for fragment in fragments:
            self.assertIn(fragment, result.stderr, what)
        self.assertEqual(sorted(self.folder.iterdir()), before)

    def test_files_that_do_not_fit(self):
        shape = (1, 8, 2, 4)
        good = np.zeros(shape, dtype=np.float32)
        cases = [("k", np.zeros((1, 8, 2, 5), dtype=np.float32), ["k.npy", "[1, 8, 2, 5]", "[1, 8, 2, 4]"]),
                 ("k", np.zeros((2, 8, 2, 4), dtype=np.float32), ["k.npy", "batch"]),
                 ("v", np.zeros((1, 9, 2, 4), dtype=np.float32), ["v.npy", "k.npy"]),
                 ("v", good.astype(np.float16), ["v.npy", "float16", "float32"]),
                 ("q", good.astype(np.float64), ["q.npy", "f8"]),
                 ("q", good.astype(">f4"), ["q.npy", ">f4"]),
                 ("q", np.asfortranarray(np.random.default_rng(1).random(shape, dtype=np.float32)), ["q.npy", "Fortran"]),
                 ("q", np.zeros((8, 2, 4), dtype=np.float32), ["q.npy", "4"]),
                 ("q", np.zeros((1, 0, 2, 4), dtype=np.float32), ["q.npy", "0"]),
                 ("q", np.zeros((1, 8, 3, 4), dtype=np.float32), ["q.npy", "3", "2"]),
                 ("g", np.zeros((1, 7, 2, 4), dtype=np.float32), ["g.npy", "q.npy"])]
        for name, content, fragments in cases:
            with self.subTest(" ".join(fragments)):
                for each in "qkvg":
                    np.save(self.folder / f"{each}.npy", content if each == name else good)
                self.refuse(fragments, gradient=name == "g")

    def test_truncated_file(self):
        self.tensors(1, 8, 8, 1, 1, 8)
        path = self.folder / "k.npy"
        path.write_bytes(path.read_bytes()[:-1])
        self.refuse(["k.npy"])

    def test_masks_that_do_not_fit(self):
        for mask, fragments in [(np.ones((8, 9), dtype=bool), ["m.npy", "[8, 9]", "[8, 8]"]), (np.ones((8, 8)), ["m.npy", "f8", "bool"]),
                                (np.ones(8, dtype=bool), ["m.npy", "query_tokens"])]:
            with self.subTest(fragments):
                self.tensors(1, 8, 8, 1, 1, 8)
                np.save(self.folder / "m.npy", mask)
                self.refuse(fragments, "--kernel", "materialised", "--boolean-mask", "m.npy")
        self.refuse(["--boolean-mask", "materialised"], "--boolean-mask", "m.npy")

    def test_nothing_is_overwritten(self):
        self.tensors(1, 8, 8, 1, 1, 8)
        np.save(self.folder / "o.npy", np.zeros(1))
        self.refuse(["o.npy", "exists"])

    def test_flags_that_files_decide(self):
        self.tensors(1, 8, 8, 1, 1, 8)
        self.refuse(["--tokens", "no effect"], "--tokens", 8)
        self.refuse(["--segment-lengths", "no effect"], "--segment-lengths", 8)
        self.refuse(["--gradient", "--pass forward"], "--pass", "forward", gradient=True)
        self.refuse(["--query-position-begin", "no effect"], "--query-position-begin", 3)
        self.refuse(["--boolean-mask", "empty"], "--boolean-mask", "")


if __name__ == "__main__":
    unittest.main()
