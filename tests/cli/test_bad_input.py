# SPDX-License-Identifier: Apache-2.0
"""Bad input of every kind: one clear line, exit code 2, nothing half-written."""

import copy
import json
import unittest

from program import ROOT, CommandLineTest, run

RING = ["ring", "--tokens", "64", "--query-heads", "2", "--head-dim", "16"]
MULTIHEAD = [*RING, "--layer", "multihead"]
ATTENTION = ["attention", "--tokens", "64", "--query-heads", "2", "--head-dim", "16"]
SHAPE = ["--chunk-tokens", "64", "--query-heads", "2", "--head-dim", "64"]
SIMULATE = ["simulate", "--machine", "{machine}", "--ring-size", "8", *SHAPE]
PLAN = ["plan", "--machine", "{machine}", "--devices", "8"]
LEDGER = ROOT / "experiments" / "claims" / "headline.json"

# What is typed and what the one line must name.
COMMAND_LINES = [
    ("no verb", [], ["ringscale", "--help"]),
    ("unknown verb", ["frobnicate"], ["frobnicate"]),
    ("unknown flag", [*RING, "--frobnicate", "1"], ["--frobnicate"]),
    ("flag of another verb", [*RING, "--speed-spread", "0.1"], ["--speed-spread"]),
    ("word where a number belongs", [*RING[:-1], "many"], ["--head-dim", "many"]),
    ("missing value", [*RING, "--kv-heads"], ["--kv-heads"]),
    ("negative tokens", ["ring", "--tokens", "-5"], ["tokens", "-5"]),
    ("zero tokens", ["ring", "--tokens", "0"], ["tokens", "0"]),
    ("tokens beyond 64 bits", ["ring", "--tokens", "99999999999999999999"], ["tokens"]),
    ("tokens beyond any machine", ["ring", "--tokens", "4611686018427387904"], ["tokens"]),
    ("zero heads", [*RING[:3], "--query-heads", "0", "--head-dim", "16"], ["query_heads"]),
    ("heads that do not divide", [*RING, "--kv-heads", "3"], ["query_heads", "kv_heads"]),
    ("negative head_dim", [*RING[:-1], "-16"], ["head_dim"]),
    ("negative seed", [*RING, "--seed", "-1"], ["--seed", "0 to 2^64 - 1", "'-1'"]),
    ("seed beyond 64 bits", [*RING, "--seed", "18446744073709551616"], ["--seed", "2^64 - 1"]),
    ("attention: negative seed", [*ATTENTION, "--seed", "-1"], ["--seed", "'-1'"]),
    ("simulate: seed that is no integer", [*SIMULATE, "--seed", "1.5"], ["--seed", "integer", "'1.5'"]),
    ("unknown mask", [*RING, "--mask", "diagonal"], ["mask", "diagonal", "causal"]),
    ("unknown placement", [*RING, "--placement", "spiral"], ["placement", "spiral", "zigzag"]),
    ("unknown schedule", [*RING, "--schedule", "square"], ["schedule", "square", "local_only"]),
    ("unknown softmax", [*RING, "--softmax", "harder"], ["softmax", "harder", "per_chunk"]),
    ("ring: inner rings without a double ring", [*RING, "--inner-ring-size", "2"], ["--inner-ring-size", "no effect"]),
    ("ring: gathering without a collective", [*RING, "--gathering", "blocking"], ["--gathering", "no effect", "--collective"]),
    ("ring: a control that nothing compares", [*RING, "--softmax", "per_chunk", "--no-verify"], ["per_chunk", "--no-verify"]),
    ("unknown kernel", [*RING, "--kernel", "popcorn"], ["kernel", "popcorn", "materialised"]),
    ("unknown dtype", [*RING, "--dtype", "half"], ["dtype", "half", "bfloat16", "float8_e4m3"]),
    ("dtype that the ring does not compute in", [*RING, "--dtype", "float16"], ["dtype", "float16", "float32", "bfloat16"]),
    ("bfloat16 without a kernel: backward", [*RING, "--dtype", "bfloat16", "--pass", "backward"], ["bfloat16", "backward"]),
    ("bfloat16 without a kernel: scores", [*RING, "--dtype", "bfloat16", "--kernel", "materialised"], ["bfloat16", "materialised"]),
    ("bfloat16 without a kernel: layer", [*RING, "--dtype", "bfloat16", "--layer", "multihead"], ["bfloat16", "multihead"]),
    ("ring: memory in a unit that is none", [*RING, "--memory-limit", "5mb"],
     ["--memory-limit", "'5mb'", "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"]),
    ("ring: an empty limit", [*RING, "--memory-limit", ""], ["--memory-limit is empty"]),
    ("simulate: an empty element type", [*SIMULATE, "--dtype", ""], ["--dtype is empty"]),
    ("simulate: an empty number", [*SIMULATE, "--speed-spread", ""], ["--speed-spread is empty"]),
    ("validate: an empty file name", ["validate", "--published", ""], ["--published is empty"]),
    ("validate: an empty file name behind =", ["validate", "--published="], ["--published is empty"]),
    ("validate: an empty second file name", ["validate", "--published", "a.json", ""], ["--published is empty"]),
    ("sweep: an empty file name", ["sweep", ""], ["experiment is empty"]),
    ("lower precision without a limit", [*RING, "--allow-lower-precision"], ["--allow-lower-precision", "--memory-limit"]),
    ("lower precision without a kernel", [*RING, "--allow-lower-precision", "--memory-limit", "1MiB", "--pass", "backward"],
     ["precision", "backward"]),
    ("ring: unknown schedule", [*RING, "--schedule", "spiral"], ["schedule", "spiral", "double_ring", "ulysses"]),
    ("ring: a mistyped flag in place of a required one", ["ring", "--tokns", "64"], ["--tokns"]),
    ("ring: unknown layer", [*RING, "--layer", "spiral"], ["layer", "spiral", "multihead"]),
    ("ring: embed_dim without a layer", [*RING, "--embed-dim", "32"], ["--embed-dim", "no effect", "--layer"]),
    ("ring: bucket without a layer", [*RING, "--gradient-bucket", "1MB"], ["--gradient-bucket", "no effect"]),
    ("ring: compression without a layer", [*RING, "--gradient-compression", "int8"], ["--gradient-compression", "no effect"]),
    ("ring: projection limit without a layer", [*RING, "--projection-limit", "10"], ["--projection-limit", "no effect"]),
    ("multihead: projections over the limit", [*MULTIHEAD, "--projection-limit", "10"], ["96 x 32", "--projection-limit"]),
    ("multihead: embed_dim of 0", [*MULTIHEAD, "--embed-dim", "0"], ["--embed-dim", "0"]),
    ("multihead: bucket below an element", [*MULTIHEAD, "--gradient-bucket", "3B"], ["bucket", "3", "4"]),
    ("multihead: bucket that is no size", [*MULTIHEAD, "--gradient-bucket", "many"], ["--gradient-bucket", "many"]),
    ("multihead: unknown compression", [*MULTIHEAD, "--gradient-compression", "zip"], ["compression", "zip", "top_k"]),
    ("multihead: one pass", [*MULTIHEAD, "--pass", "backward"], ["--pass", "both passes"]),
    ("multihead: replicated queries", [*MULTIHEAD, "--placement", "replicated_queries"], ["replicated_queries", "zigzag"]),
    ("multihead: another pattern", [*MULTIHEAD, "--pattern", "block_sparse"], ["dense", "block_sparse"]),
    ("multihead: memory limit", [*MULTIHEAD, "--memory-limit", "1GB"], ["--memory-limit", "multihead"]),
    ("attention: negative tokens", ["attention", "--tokens", "-1"], ["tokens", "-1"]),
    ("attention: more than memory holds", ["attention", "--tokens", "1000000000000"], ["tokens", "GiB"]),
    ("attention: unknown mask", [*ATTENTION, "--mask", "diagonal"], ["mask", "diagonal"]),
    ("attention: no shape and no files", ["attention"], ["--tokens", "--query"]),
    ("attention: unknown pattern", [*ATTENTION, "--pattern", "spiral"], ["pattern", "spiral", "dilated"]),
    ("attention: dilated without segments", [*ATTENTION, "--pattern", "dilated"], ["segment_lengths"]),
    ("attention: more rates than segments", [*ATTENTION, "--pattern", "dilated", "--segment-lengths", "16", "--dilation-rates", "1,2"],
     ["dilation_rates"]),
    ("attention: flag without effect", [*ATTENTION, "--kept-blocks", "3"], ["--kept-blocks", "no effect"]),
    ("attention: blocks that are no tiles", [*ATTENTION, "--pattern", "block_sparse", "--block-tokens", "65"], ["block_tokens", "65"]),
    ("attention: dropout of everything", [*ATTENTION, "--dropout", "1"], ["--dropout", "1"]),
    ("attention: dropout of all but nothing", [*ATTENTION, "--dropout", "0.999999999"], ["--dropout"]),
    ("attention: more threads than can be", [*ATTENTION, "--threads", "600"], ["--threads", "600", "512"]),
    ("attention: dropout that is no number", [*ATTENTION, "--dropout", "nan"], ["--dropout", "nan"]),
    ("attention: unknown pass", [*ATTENTION, "--pass", "sideways"], ["pass", "sideways", "backward"]),
    ("attention: unknown dtype", [*ATTENTION, "--dtype", "float64"], ["dtype", "float64", "bfloat16"]),
    ("attention: files by halves", ["attention", "--query", "q.npy"], ["--query", "--key", "--value"]),
    ("attention: materialised patterns", [*ATTENTION, "--pattern", "block_sparse", "--kernel", "materialised"], ["materialised"]),
    ("simulate: no machine", ["simulate", "--ring-size", "8", *SHAPE], ["--machine"]),
    ("simulate: machine that is not there", ["simulate", "--machine", "{folder}/none.json", "--ring-size", "8", *SHAPE],
     ["none.json"]),
    ("simulate: ring of 0", ["simulate", "--machine", "{machine}", "--ring-size", "0", *SHAPE], ["ring_size", "0"]),
    ("simulate: negative ring", ["simulate", "--machine", "{machine}", "--ring-size", "-4", *SHAPE], ["ring_size", "-4"]),
    ("simulate: ring beyond 64 bits", ["simulate", "--machine", "{machine}", "--ring-size", "1" + "0" * 25, *SHAPE],
     ["ring"]),
    ("simulate: ring beyond memory", ["simulate", "--machine", "{machine}", "--ring-size", "1000000000000000000", *SHAPE],
     ["ring_size"]),
    ("simulate: spread that is no number",
     ["simulate", "--machine", "{machine}", "--ring-size", "8", *SHAPE, "--speed-spread", "nan"], ["speed"]),
    ("simulate: negative jitter",
     ["simulate", "--machine", "{machine}", "--ring-size", "8", *SHAPE, "--jitter", "-0.5"], ["jitter"]),
    ("simulate: infinite jitter",
     ["simulate", "--machine", "{machine}", "--ring-size", "8", *SHAPE, "--jitter", "inf"], ["jitter"]),
    ("simulate: negative tokens beside a chunk", [*SIMULATE, "--tokens", "-5"], ["--tokens", "--chunk-tokens", "above 0"]),
    ("simulate: double ring of nothing", [*SIMULATE, "--schedule", "double_ring"], ["double_ring", "--inner-ring-size"]),
    ("simulate: inner rings without a double ring", [*SIMULATE, "--inner-ring-size", "4"], ["--inner-ring-size", "no effect"]),
    ("simulate: inner rings that do not fit", [*SIMULATE, "--schedule", "double_ring", "--inner-ring-size", "3"],
     ["inner_ring_size", "3", "8"]),
    ("simulate: unknown hops", [*SIMULATE, "--hops", "some"], ["hops", "some", "needed"]),
    ("simulate: pattern flag without effect", [*SIMULATE, "--block-tokens", "64"], ["--block-tokens", "no effect"]),
    ("simulate: adaptive blocks", [*SIMULATE, "--pattern", "block_sparse", "--block-sparse", "adaptive"], ["adaptive"]),
    ("simulate: fewer weights than devices", [*SIMULATE, "--chunk-weights", "1,2"], ["2", "8"]),
    ("simulate: more speeds than devices", [*SIMULATE, "--device-speeds", "1,1,1,1,1,1,1,1,1"], ["device_speeds", "9", "8"]),
    ("simulate: weights of nothing", [*SIMULATE, "--chunk-weights", ",,"], ["--chunk-weights", "',,'", "empty entry"]),
    ("simulate: a weight left out", [*SIMULATE, "--chunk-weights", "1,1,1,1,,1,1,1,1"], ["--chunk-weights", "empty entry"]),
    ("simulate: a weight that is no number", [*SIMULATE, "--chunk-weights", "1,2x"], ["--chunk-weights", "2x"]),
    ("simulate: a speed left out", [*SIMULATE, "--device-speeds", "1,1,1,1,1,1,1,1,"], ["--device-speeds", "empty entry"]),
    ("ring: weights of nothing", [*RING, "--chunk-weights", ",,"], ["--chunk-weights", "empty entry"]),
    ("attention: a segment left out", [*ATTENTION, "--pattern", "dilated", "--segment-lengths", "16,,16"],
     ["--segment-lengths", "empty entry"]),
    ("plan: an argument left out", ["plan", "--calculator", "all", "--arguments", ",,"], ["--arguments", "empty entry"]),
    ("simulate: a device that stands still", [*SIMULATE, "--device-speeds", "1,1,1,1,1,1,1,0"], ["device_speeds", "0"]),
    ("simulate: an engine that does not know the schedule", [*SIMULATE, "--pass", "backward", "--engine", "folded"],
     ["folded", "plan"]),
    ("simulate: trials without failures", [*SIMULATE, "--failure-trials", "5"], ["--failure-trials", "no effect", "--device-mtbf"]),
    ("simulate: balance of one type", [*SIMULATE, "--balance-chunks"], ["--balance-chunks", "no effect"]),
    ("simulate: shared cores of a published machine", [*SIMULATE, "--ranks-on-node", "4"], ["--ranks-on-node", "no effect"]),
    ("simulate: a checkpoint's time twice", [*SIMULATE, "--device-mtbf", "1e8", "--checkpoint-interval", "daly",
                                             "--checkpoint-time", "3", "--checkpoint-bytes", "1GB"],
     ["--checkpoint-time", "--checkpoint-bytes"]),
    ("simulate: a checkpoint's bandwidth and time", [*SIMULATE, "--device-mtbf", "1e8", "--checkpoint-interval", "daly",
                                                     "--checkpoint-time", "3", "--checkpoint-bandwidth", "1GB"],
     ["--checkpoint-time", "--checkpoint-bandwidth"]),
    ("simulate: no key/value heads", [*SIMULATE, "--kv-heads", "0"], ["--kv-heads", "at least 1", "'0'"]),
    ("simulate: empty entry of machines", ["simulate", "--machine", "{machine}:4,,{machine}:4", *SHAPE],
     ["--machine", "''", "FILE:COUNT"]),
    ("simulate: a count without a machine", ["simulate", "--machine", ":4", *SHAPE], ["--machine", "':4'", "FILE:COUNT"]),
    ("simulate: huge speedup", [*SIMULATE, "--tile-speedup", "1e300"], ["tile_speedup is 1e+300; it must be between 0.001 and 1000"]),
    ("simulate: tiny speedup", [*SIMULATE, "--tile-speedup", "1e-300"], ["tile_speedup is 1e-300;"]),
    ("simulate: huge time of failures", [*SIMULATE, "--device-mtbf", "1e300"], ["device_mtbf_s is 1e+300;", "1e+15"]),
    ("simulate: a document of a dry run", [*SIMULATE, "--dry-run", "--json"], ["--dry-run", "--json"]),
    ("plan: a document of a dry run", [*PLAN, "--dry-run", "--json"], ["--dry-run", "--json"]),
    ("ring: a document of a dry run", [*RING, "--dry-run", "--json"], ["--dry-run", "--json"]),
    ("attention: a document of a dry run", [*ATTENTION, "--dry-run", "--json"], ["--dry-run", "--json"]),
    ("calibrate: a document of a dry run", ["calibrate", "--quick", "--dry-run", "--json"], ["--dry-run", "--json"]),
    ("validate: a document of a dry run", ["validate", "--published", "--dry-run", "--json"], ["--dry-run", "--json"]),
    ("validate: a seed that nothing draws with", ["validate", "--published", "--seed", "5"], ["--seed"]),
    ("validate: machines beside real rings", ["validate", "--measured", "--quick", "--machines", "{folder}"],
     ["--machines", "no effect", "--measured"]),
    ("plan: shared cores of a published machine", [*PLAN, "--ranks-on-node", "4"], ["--ranks-on-node", "no effect"]),
    ("plan: no key/value heads", [*PLAN, "--kv-heads", "0"], ["--kv-heads", "at least 1", "'0'"]),
    ("multihead: messages alone", [*MULTIHEAD, "--no-messages-only"], ["--no-messages-only", "no effect"]),
    ("sweep: no file", ["sweep"], ["experiment"]),
    ("sweep: file that is not there", ["sweep", "{folder}/none.json", "--output", "{folder}/out"], ["none.json"]),
    ("sweep: folder for a file", ["sweep", "{folder}", "--output", "{folder}/out"], ["{folder}"]),
    ("check: no ledger", ["check", "--results", "{folder}"], ["--claims"]),
    ("check: ledger that is not there", ["check", "--claims", "{folder}/none.json", "--results", "{folder}"], ["none.json"]),
    ("check: results that are not there", ["check", "--claims", str(LEDGER), "--results", "{folder}/none"], ["none"]),
]

ANALYTIC = {"schema": "ringscale.experiment", "schema_version": 1, "name": "small",
            "grids": [{"name": "memory", "kind": "analytic", "tokens": [64], "ring_size": [1, 2]}]}


def changed(path, value):
    """The small experiment with one thing changed; the path is made of keys and indices."""
    document = copy.deepcopy(ANALYTIC)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


GRID = ("grids", 0)
EXPERIMENTS = [
    ("unknown key, with the nearest name", changed((*GRID, "ring_sise"), [4]), ["experiment.json", "$.grids[0]", "ring_sise",
                                                                               "ring_size"]),
    ("unknown key at the top", changed(("gridz",), []), ["$", "gridz", "grids"]),
    ("ring of 0", changed((*GRID, "ring_size"), [0]), ["ring_size", "0"]),
    ("negative seed", {**ANALYTIC, "grids": [{"name": "rings", "kind": "measured", "tokens": [64], "ring_size": [1], "seed": [-1]}]},
     ["seed", "-1", "between 0"]),
    ("negative tokens", changed((*GRID, "tokens"), [-64]), ["tokens", "-64"]),
    ("fewer tokens than ranks", changed((*GRID, "ring_size"), [65]), ["tokens", "64", "65"]),
    ("number that is no integer", changed((*GRID, "tokens"), [64.5]), ["tokens"]),
    ("text for a number", changed((*GRID, "tokens"), ["many"]), ["tokens"]),
    ("huge tokens", changed((*GRID, "tokens"), [10 ** 18]), ["tokens"]),
    ("more points than a file may have", {**ANALYTIC, "grids": [{**ANALYTIC["grids"][0], "head_dim": list(range(1, 3000)), "tokens": list(range(8, 3000))}]},
     ["points"]),
    ("no grid", changed(("grids",), []), ["grids"]),
    ("unknown kind", changed((*GRID, "kind"), "guessed"), ["kind", "guessed", "measured"]),
    ("schema of another version", changed(("schema_version",), 99), ["schema_version", "99"]),
    ("another schema", changed(("schema",), "ringscale.machine"), ["ringscale.machine", "ringscale.experiment"]),
    ("truncated file", json.dumps(ANALYTIC)[:-20], ["experiment.json", "line"]),
    ("empty file", "", ["experiment.json"]),
    ("NaN", json.dumps(ANALYTIC).replace("64", "NaN"), ["experiment.json"]),
    ("key that stands twice", json.dumps(ANALYTIC).replace('"name": "small"', '"name": "small", "name": "large"'), ["name"]),
    ("a hundred thousand brackets", "[" * 100000, ["experiment.json"]),
    ("binary file", "\x00\x01\x02", ["experiment.json"]),
]

MACHINES = [
    ("truncated", lambda text: text[:len(text) // 2], ["machine.json", "line"]),
    ("empty", lambda text: "", ["machine.json"]),
    ("of another version", lambda text: json.dumps({**json.loads(text), "schema_version": 7}), ["schema_version", "7"]),
    ("of another schema", lambda text: json.dumps({**json.loads(text), "schema": "ringscale.results"}),
     ["ringscale.results", "ringscale.machine"]),
    ("with an unknown key", lambda text: json.dumps({**json.loads(text), "lings": []}), ["lings", "links"]),
    ("without links and tiles", lambda text: json.dumps({"schema": "ringscale.machine", "schema_version": 1}),
     ["machine.json"]),
]


def published_machine():
    return sorted((ROOT / "experiments" / "machines").glob("*.json"))[0]


class BadInput(CommandLineTest):
    def filled(self, texts):
        return [text.replace("{folder}", str(self.folder)).replace("{machine}", str(published_machine())) for text in texts]

    def test_command_lines(self):
        for name, arguments, fragments in COMMAND_LINES:
            with self.subTest(name):
                self.assert_refused(self.filled(arguments), self.filled(fragments))

    def test_a_refusal_starts_no_json_document(self):
        self.assert_refused([*RING, "--mask", "diagonal", "--json"], ["diagonal"])

    def test_experiment_files(self):
        for name, content, fragments in EXPERIMENTS:
            with self.subTest(name):
                path = self.write("experiment.json", content)
                self.assert_refused(["sweep", path, "--output", self.folder / "out"], fragments)
                self.assertFalse((self.folder / "out").exists())
                self.assert_refused(["sweep", path, "--dry-run"], fragments)

    def test_the_experiment_that_those_were_made_from_is_accepted(self):
        path = self.write("experiment.json", ANALYTIC)
        self.assertEqual(run(["sweep", path, "--output", self.folder / "out"]).returncode, 0)

    def test_machine_files(self):
        text = published_machine().read_text()
        for name, change, fragments in MACHINES:
            with self.subTest(name):
                path = self.write("machine.json", change(text))
                self.assert_refused(["simulate", "--machine", path, "--ring-size", "8", *SHAPE], fragments)

    def test_results_and_ledgers(self):
        ledger = LEDGER.read_text()
        for name, folder, claims, fragments in [
                ("truncated results", '{"schema": "ringscale.results", "schema_ver', ledger, ["results.json"]),
                ("truncated ledger", "{}", ledger[:len(ledger) // 2], ["ledger.json"]),
                ("ledger of another version", "{}", json.dumps({**json.loads(ledger), "schema_version": 9}),
                 ["ledger.json", "schema_version", "9"])]:
            with self.subTest(name):
                self.write("results/results.json", folder)
                path = self.write("ledger.json", claims)
                self.assert_refused(["check", "--claims", path, "--results", self.folder / "results"], fragments)

    def test_sweep_that_needs_what_is_not_there(self):
        simulated = changed((*GRID, "kind"), "simulated")
        self.assert_refused(["sweep", self.write("experiment.json", simulated), "--output", self.folder / "out"], ["--machine"])
        measured = changed((*GRID, "kind"), "measured")
        self.assert_refused(["sweep", self.write("experiment.json", measured), "--output", self.folder / "out"], ["2", "mpiexec"])
        self.assert_refused(["sweep", self.write("experiment.json", ANALYTIC)], ["--output"])

    def test_tokens_fewer_than_ranks(self):
        self.assert_refused(["ring", "--tokens", "2", "--query-heads", "2", "--head-dim", "16"], ["tokens", "2", "3"], ranks=3)

    def test_a_layer_runs_on_a_plain_ring(self):
        self.assert_refused([*MULTIHEAD, "--sequence-size", "2"], ["plain ring", "sequence"], ranks=2)

    def test_every_rank_is_refused_with_one_line(self):
        self.assert_refused([*RING, "--mask", "diagonal"], ["diagonal"], ranks=3)
        self.assert_refused(["frobnicate"], ["frobnicate"], ranks=3)


class Output(CommandLineTest):
    """Folders that cannot be written, as root too: one that would lie below a file."""

    def setUp(self):
        super().setUp()
        self.occupied = self.write("occupied", "a file")
        self.experiment = self.write("experiment.json", ANALYTIC)
        self.machine = published_machine()

    def test_folder_below_a_file(self):
        below = self.occupied / "out"
        results = self.folder / "results"
        self.assertEqual(run(["sweep", self.experiment, "--output", results]).returncode, 0)
        for arguments in [["sweep", self.experiment, "--output", below],
                          ["simulate", "--machine", self.machine, "--ring-size", "8", *SHAPE, "--output", below],
                          ["calibrate", "--name", "here", "--output", below],
                          ["check", "--claims", LEDGER, "--results", results, "--output", below]]:
            with self.subTest(arguments[0]):
                self.assert_refused(arguments, ["occupied"])

    def test_file_in_place_of_the_folder(self):
        self.assert_refused(["sweep", self.experiment, "--output", self.occupied], ["occupied"])

    def test_earlier_results_are_never_overwritten(self):
        out = self.folder / "out"
        self.assertEqual(run(["sweep", self.experiment, "--output", out]).returncode, 0)
        before = (out / "results.json").read_bytes()
        self.assert_refused(["sweep", self.experiment, "--output", out], ["out"])
        self.assertEqual((out / "results.json").read_bytes(), before)

    def test_journal_of_another_experiment_is_not_continued(self):
        out = self.folder / "out"
        self.assertEqual(run(["sweep", self.experiment, "--output", out]).returncode, 0)
        other = self.write("other.json", changed((*GRID, "tokens"), [128]))
        self.assert_refused(["sweep", other, "--output", out, "--resume"], ["out"])


if __name__ == "__main__":
    unittest.main()
