# SPDX-License-Identifier: Apache-2.0
"""Every document that the program emits, and every one that ships, is valid against experiments/schema."""

import copy
import json
import subprocess
import sys
import unittest
from pathlib import Path

try:
    import jsonschema
except ImportError:
    print("skipped: the Python module jsonschema is missing")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from program import ROOT, CommandLineTest  # noqa: E402

SCHEMAS = {path.name.split(".")[0]: json.loads(path.read_text(encoding="utf-8"))
           for path in sorted((ROOT / "experiments" / "schema").glob("*.schema.json"))}
RING = ["ring", "--tokens", "259", "--query-heads", "4", "--kv-heads", "2", "--head-dim", "16"]
MACHINE = ROOT / "experiments" / "machines" / "gtx1080.json"
EXPERIMENT = {"schema": "ringscale.experiment", "schema_version": 1, "name": "test",
              "defaults": {"query_heads": 4, "head_dim": 16, "repetitions": 1, "warmup": 0}, "grids": [
                  {"name": "rings", "kind": "measured", "tokens": 67, "ring_size": [1, 2]},
                  {"name": "virtual", "kind": "simulated", "machine": str(MACHINE), "chunk_tokens": 4096, "ring_size": 8},
                  {"name": "designs", "kind": "analytic", "tokens": 64, "ring_size": 2}]}


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


class Schemas(CommandLineTest):
    def errors(self, document, name=None):
        schema = SCHEMAS[name or document["schema"].removeprefix("ringscale.")]
        found = jsonschema.Draft202012Validator(schema).iter_errors(document)
        return [f"{error.json_path}: {error.message[:300]}" for error in found]

    def assert_valid(self, document, name=None):
        self.assertEqual(self.errors(document, name), [])

    def test_schemas_are_schemas(self):
        self.assertEqual(set(SCHEMAS), {"claims", "experiment", "info", "journal", "kernels", "machine", "model_shapes", "peers", "plan", "progress",
                                        "published-tables", "results", "simulator_speed", "sizing", "trace", "verdicts"})
        for schema in SCHEMAS.values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_shipped_files(self):
        files = [path for folder in ["", "machines", "claims", "published", "results"] for path in (ROOT / "experiments" / folder).glob("*.json")]
        self.assertGreater(len(files), 4)
        for path in files:
            with self.subTest(path.name):
                self.assert_valid(read(path))

    def test_info(self):
        self.assert_valid(self.document(["info"]))

    def test_ring(self):
        self.assert_valid(self.document(RING))

    def test_checkpointed_ring(self):
        arguments = [*RING, "--checkpoint", self.folder / "checkpoints", "--mtbf", "3600"]
        for document in [self.document(arguments), self.document([*arguments, "--resume"])]:
            self.assert_valid(document)
            broken = copy.deepcopy(document)
            del broken["rows"][0]["checkpoint"]["write_samples_s"]
            self.assertNotEqual(self.errors(broken), [])

    def test_multihead_layer(self):
        good = self.document([*RING, "--layer", "multihead", "--repetitions", "1"])
        self.assert_valid(good)
        self.assert_valid({"point": "p", "row": good["rows"][0]}, "journal")
        for change in [lambda row: row.pop("forward_s"), lambda row: row.update(layer="attention"),
                       lambda row: row.update(reduction_hidden_fraction=1.5), lambda row: row.update(backward_samples_s=[]),
                       lambda row: row["errors"]["output"].pop("error_bound"), lambda row: row["memory_bytes"].pop("query")]:
            bad = copy.deepcopy(good)
            change(bad["rows"][0])
            self.assertNotEqual(self.errors(bad), [])
        self.assert_valid(self.document([*RING, "--mask", "causal", "--placement", "zigzag"], ranks=3))
        self.assert_valid(self.document([*RING, "--softmax", "per_chunk"], code=1, ranks=2))

    def test_attention(self):
        small = ["attention", "--tokens", "257", "--query-heads", "2", "--head-dim", "64"]
        self.assert_valid(self.document(small))
        self.assert_valid(self.document([*small, "--benchmark", "--pass", "backward", "--mask", "causal"]))
        self.assert_valid(self.document([*small, "--pattern", "dilated", "--segment-lengths", "64,128", "--dilation-rates", "1,2"]))
        self.assert_valid(self.document([*small, "--pattern", "block_sparse", "--block-sparse", "adaptive", "--kept-blocks", "2"]))
        self.assert_valid(self.document([*small, "--dtype", "bfloat16"]))
        self.assert_valid(self.document(["attention", "--list"]))

    def test_simulate(self):
        self.assert_valid(self.document(["simulate", "--machine", MACHINE, "--ring-size", "100", "--chunk-tokens", "512",
                                         "--query-heads", "8", "--head-dim", "64", "--jitter", "0.02"]))
        ring = ["simulate", "--machine", MACHINE, "--ring-size", "4", "--chunk-tokens", "512", "--mask", "causal"]
        self.assert_valid(self.document([*ring, "--schedule", "double_ring", "--inner-ring-size", "2", "--pass", "backward",
                                         "--pattern", "block_sparse", "--hops", "needed"]))
        self.assert_valid(self.document([*ring, "--schedule", "all_gather", "--moving", "query", "--pattern", "dilated",
                                         "--segment-lengths", "64,256", "--dilation-rates", "1,2"]))
        self.assert_valid(self.document([*ring, "--chunk-weights", "1,2,1,4", "--device-speeds", "1,2,1,4",
                                         "--message-layout", "copied"]))

    def test_traces(self):
        simulated, measured = self.folder / "simulated.json", self.folder / "measured.json"
        self.document(["simulate", "--machine", MACHINE, "--ring-size", "3", "--chunk-tokens", "512", "--pass", "backward",
                       "--trace", simulated])
        self.document([*RING, "--trace", measured, "--pass", "backward"], ranks=2)
        for file in [simulated, measured]:
            good = read(file)
            self.assert_valid(good, "trace")
            first = next(place for place, event in enumerate(good["traceEvents"]) if event["ph"] == "X")
            for change in [lambda bad: bad["otherData"].update(kind="analytic"), lambda bad: bad["otherData"].pop("provenance"),
                           lambda bad: bad["traceEvents"][first].update(dur=-1.0), lambda bad: bad.update(schema="ringscale.trace"),
                           lambda bad: bad["traceEvents"][first]["args"].pop("kind"),
                           lambda bad: bad["traceEvents"][first].update(name="idle"),
                           lambda bad: bad["traceEvents"][first].update(ph="Y")]:
                bad = copy.deepcopy(good)
                change(bad)
                self.assertNotEqual(self.errors(bad, "trace"), [])
        joined = self.folder / "joined.json"
        subprocess.run([sys.executable, "-B", ROOT / "analysis" / "traces.py", "join", simulated, measured, "--output", joined],
                       check=True, capture_output=True)
        self.assert_valid(read(joined), "trace")

    def test_simulate_with_failures_types_and_what_ifs(self):
        ring = ["simulate", "--ring-size", "4", "--chunk-tokens", "512", "--device-mtbf", "1e5", "--passes", "100"]
        self.assert_valid(self.document([*ring, "--machine", MACHINE, "--tile-speedup", "1.5", "--stragglers", "0.5:2"]))
        self.assert_valid(self.document([*ring, "--machine", MACHINE, "--failure-trials", "0", "--checkpoint-interval", "young",
                                         "--checkpoint-bandwidth", "1GB"]))
        never = self.document([*ring[:-3], "1e-9", *ring[-2:], "--machine", MACHINE])
        self.assertIsNone(never["rows"][0]["time_with_failures_s"])
        self.assert_valid(never)
        other = MACHINE.with_name("h100_ndr.json")
        mixed = self.document([*ring, "--machine", f"{other}:2,{other}:2"])
        self.assertEqual(len(mixed["rows"][0]["device_types"]), 2)
        self.assert_valid(mixed)

    def test_machine_with_every_optional_field(self):
        machine = read(MACHINE)
        number = {"value": 2.0, "kind": "analytic", "source": "a test"}
        machine["failures"] = dict.fromkeys(["device_mtbf_s", "detection_s", "restart_s", "checkpoint_bandwidth_bytes_per_s",
                                             "storage_bandwidth_bytes_per_s"], number)
        machine["links"][-1].update({"devices_per_card": 1, "duplex": "half", "oversubscription": number,
                                     "rendezvous": {"threshold_bytes": 8192, "handshake_s": number},
                                     "receive_buffer_bytes": 65536})
        self.assert_valid(machine)
        self.assert_valid(self.document(["simulate", "--machine", self.write("machine.json", machine), "--ring-size", "2",
                                         "--chunk-tokens", "64"]))
        for path in [("links", -1, "duplex"), ("links", -1, "oversubscription"), ("failures", "restart_s")]:
            wrong = copy.deepcopy(machine)
            place = wrong
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = "both"
            self.assertNotEqual(self.errors(wrong), [], path)

    def test_validate_published(self):
        good = self.document(["validate", "--published"])
        self.assert_valid(good)
        predicted = next(index for index, row in enumerate(good["rows"]) if row["role"] == "predicted")
        for change in [lambda row: row.pop("published"), lambda row: row.update(role="guessed"), lambda row: row.pop("method"),
                       lambda row: row.update(predicted=None), lambda row: row.update(kind="measured")]:
            bad = {**good, "rows": [copy.deepcopy(good["rows"][predicted])]}
            change(bad["rows"][0])
            self.assertNotEqual(self.errors(bad), [])
        further = read(ROOT / "experiments" / "published" / "further.json")
        self.assert_valid(further)
        further["tables"][0]["rows"][0]["tflops_512"] = "OOM"
        answer = self.document(["validate", "--published", self.write("texts.json", further)])
        self.assertIsNone(answer["rows"][0]["published"])
        self.assert_valid(answer)
        table = copy.deepcopy(read(ROOT / "experiments" / "published" / "tables.json"))
        del table["tables"][0]["columns"][0]["unit"]
        self.assertNotEqual(self.errors(table), [])

    def test_sweep_with_its_journal_and_the_verdicts_on_it(self):
        file = self.write("experiment.json", EXPERIMENT)
        self.assert_valid(EXPERIMENT)
        self.assert_valid(self.document(["sweep", file, "--dry-run"]))
        out = self.folder / "out"
        self.assert_valid(self.document(["sweep", file, "--output", out, "--time-budget", "1e-9"], code=75, ranks=2))
        self.assert_valid(self.document(["sweep", file, "--output", out, "--resume"], ranks=2))
        self.assert_valid(read(out / "results.json"))
        lines = (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(lines), 1 + 2 + 4 + 2, "header, two runs, four points of which two are measured")
        for line in lines:
            self.assert_valid(json.loads(line), "journal")
        self.assert_valid(self.document(["check", "--claims", ROOT / "experiments" / "claims" / "headline.json",
                                         "--results", out]))

    def test_sweep_that_failed_and_shrank(self):
        file = self.write("experiment.json", EXPERIMENT)
        out = self.folder / "out"
        self.document(["sweep", file, "--output", out], ranks=2)
        # As if the job had died in its last point, the ring of two.
        lines = (out / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (out / "journal.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
        (out / "results.json").unlink()
        document = self.document(["sweep", file, "--output", out, "--resume", "--on-failure", "shrink"], ranks=2)
        self.assert_valid(document)
        self.assertEqual([row.get("shrunk_from_ring_size") for row in document["rows"]], [None, 2, None, None])
        lines = [json.loads(line) for line in (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
        for line in lines:
            self.assert_valid(line, "journal")
        failed = next(line for line in lines if "failed" in line)
        started = next(line for line in lines if "started" in line)
        for line, change in [(failed, {"reason": ""}), (failed, {"exit_code": "124"}), (failed, {"rank": 1}),
                             (started, {"ring_size": 0}), (started, {"point": "p"})]:
            self.assertNotEqual(self.errors({**line, **change}, "journal"), [])
        for wrong in [1, "2", None]:
            bad = copy.deepcopy(document)
            bad["rows"][1]["shrunk_from_ring_size"] = wrong
            self.assertNotEqual(self.errors(bad), [])

    def test_schemas_refuse_what_is_wrong(self):
        good = self.document(RING)
        for change in [lambda row: row.pop("error_bound"), lambda row: row.update(time_ms=1.0),
                       lambda row: row.update(kind="simulated"), lambda row: row.update(tokens=0),
                       lambda row: row.update(max_error="0"), lambda row: row["memory_bytes"].pop("query")]:
            bad = copy.deepcopy(good)
            change(bad["rows"][0])
            self.assertNotEqual(self.errors(bad), [])
        for change in [{"schema_version": 2}, {"grids": []}, {"grid": []}, {"name": "A b"}]:
            self.assertNotEqual(self.errors({**EXPERIMENT, **change}), [])
        wrong_kind = copy.deepcopy(EXPERIMENT)
        wrong_kind["grids"][0]["jitter"] = 0.1
        self.assertNotEqual(self.errors(wrong_kind), [])


if __name__ == "__main__":
    unittest.main()
