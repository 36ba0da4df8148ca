# SPDX-License-Identifier: Apache-2.0
"""Made-up documents with the field names of real ones, to test the report. Never results: every document says so.

Run as a program it writes them to a folder: python3 synthetic_results.py DIR
"""
import json
import sys
from pathlib import Path

import numpy as np

QUERY_HEADS, KV_HEADS, HEAD_DIM = 8, 8, 64
RATE = 1.6e11  # FLOP/s of one invented device
PROVENANCE = {
    "run_id": "synthetic", "started_utc": "2000-01-01T00:00:00Z", "ended_utc": "2000-01-01T00:01:00Z",
    "arguments": ["synthetic", "data", "made", "by", "tests/analysis"],
    "build": {"version": "0.0.0", "commit": "synthetic", "build_type": "Release", "compiler": "none", "flags": "",
              "kokkos_version": None},
    "runtime": {"kokkos_version": "4.7.0", "execution_space": "OpenMP", "concurrency": 1, "mpi_library": "synthetic MPI",
                "ranks": 4},
    "host": {"name": "synthetic-host", "cpu_model": "Synthetic CPU", "cores": 2},
    "clock_resolution_s": 1e-9, "environment": {"OMP_NUM_THREADS": "1"},
}


def row(kind, verb, tokens, ring_size, placement="contiguous", mask="none", kernel="streamed", schedule="ring",
        softmax="online", kv_heads=KV_HEADS):
    point = f"{verb}-{placement}-{mask}-{kernel}-{schedule}-{softmax}-{tokens}-{ring_size}"
    return {"kind": kind, "verb": verb, "point": point, "schedule": schedule, "placement": placement, "softmax": softmax,
            "kernel": kernel, "mask": mask, "dtype": "float32", "batch": 1, "tokens": tokens,
            "query_heads": QUERY_HEADS, "kv_heads": kv_heads, "head_dim": HEAD_DIM, "ring_size": ring_size,
            "chunk_tokens": -(-tokens // ring_size), "seed": 1}


def memory_by_purpose(entry):
    """A plausible split; the real closed form lives in the program."""
    element = 4 * QUERY_HEADS * HEAD_DIM
    queries = entry["tokens"] if entry["placement"] == "replicated_queries" else entry["chunk_tokens"]
    scores = 4 * QUERY_HEADS * queries * entry["chunk_tokens"] if entry["kernel"] == "materialised" else 0
    rotating = 2 if entry["ring_size"] > 1 else 1
    return {"query": element * queries, "key_value": 2 * element * entry["chunk_tokens"], "output": element * queries,
            "partial": 4 * QUERY_HEADS * queries, "scores": scores,
            "communication": 2 * element * entry["chunk_tokens"] * (rotating - 1), "workspace": 0}


def with_memory(entry):
    entry["memory_bytes"] = memory_by_purpose(entry)
    entry["memory_peak_bytes"] = sum(entry["memory_bytes"].values())
    return entry


def run_time(entry, cores):
    pairs = entry["tokens"] * (entry["tokens"] + 1) / 2 if entry["mask"] == "causal" else entry["tokens"] ** 2
    compute = 4 * pairs * QUERY_HEADS * HEAD_DIM / RATE / min(entry["ring_size"], cores)
    if entry["mask"] == "causal" and entry["placement"] == "contiguous":
        compute *= (2 * entry["ring_size"] - 1) / entry["ring_size"]
    if entry["placement"] == "replicated_queries":
        compute *= entry["ring_size"]
    return compute, 3e-4 * (entry["ring_size"] - 1)


def ring_row(random, tokens, ring_size, **changes):
    entry = with_memory(row("measured", "ring", tokens, ring_size, **changes))
    compute, exposed = run_time(entry, cores=2)
    samples = sorted(((compute + exposed) * random.lognormal(0.0, 0.02, 9)).tolist())
    control = entry["softmax"] == "per_chunk" or entry["schedule"] == "local_only"
    bound = 3.0e-5 * (1 + 0.02 * ring_size)
    entry.update({
        "hops": ring_size - 1, "time_s": samples[4],
        "time_s_interval": {"low": samples[1], "high": samples[7], "confidence": 0.9609375}, "samples_s": samples,
        "tokens_per_s": tokens / samples[4], "tokens_per_s_per_device": tokens / samples[4] / ring_size,
        "max_error": float(random.uniform(3e-7, 9e-7)) if not (control and ring_size > 1) else 0.3,
        "error_bound": bound, "max_lse_error": 5e-7, "lse_error_bound": bound,
        "wrong_elements": 0, "blocks_met_once": True, "memory_closed_form_bytes": entry["memory_peak_bytes"],
        "peak_rss_bytes": 60_000_000, "compute_s": compute, "exposed_communication_s": exposed, "progress": "polled",
        "ranks_per_core": max(1, ring_size // 2), "threads_per_rank": 1,
        "verdict": "invalid" if control and ring_size > 1 else "valid", "reasons": []})
    return entry


def simulated_row(tokens, ring_size, **changes):
    entry = with_memory(row("simulated", "simulate", tokens, ring_size, **changes))
    compute, exposed = run_time(entry, cores=10**9)
    time = compute * 1.03 + exposed
    entry.update({
        "machine": "synthetic", "machine_kind": "measured", "speed_spread": 0.05, "jitter": 0.02, "hops": ring_size - 1,
        "time_s": time, "time_s_interval": {"low": time * 0.93, "high": time * 1.08, "confidence": 0.9},
        "tokens_per_s": tokens / time, "tokens_per_s_per_device": tokens / time / ring_size,
        "device_memory_bytes": 8_000_000_000, "fits_memory": True, "compute_s": compute, "exposed_communication_s": exposed,
        "waiting_s": 0.0, "merge_s": 0.0, "finish_s_percentiles": {"p0": time * 0.99, "p50": time, "p100": time},
        "wall_s": 1.0, "hops_per_s": 1e7, "hold_out_median_relative_error": 0.034})
    return entry


def ring_rows(random):
    rows = [ring_row(random, 1024 * size, size) for size in (1, 2, 3, 4, 6, 8)]
    rows += [ring_row(random, 1024 * size, size, mask="causal", placement=placement)
             for placement in ("contiguous", "zigzag", "striped") for size in (1, 2, 4, 8)]
    rows += [ring_row(random, 4096, size, placement=placement) for placement in ("contiguous", "zigzag") for size in (1, 2, 4)]
    rows += [ring_row(random, 8192, size, placement="replicated_queries", kernel="materialised") for size in (1, 2, 4, 8)]
    rows += [ring_row(random, 2048, 4, softmax="per_chunk"), ring_row(random, 2048, 4, schedule="local_only")]
    for index, entry in enumerate(rows):
        if index % 3 == 0 and entry["ring_size"] > 1:
            rows.append({**entry, "point": entry["point"] + "-unpolled", "progress": "unpolled",
                         "exposed_communication_s": 3 * entry["exposed_communication_s"]})
    return rows


def memory_rows():
    sizes = [2**power for power in range(0, 5)]
    rows = [with_memory(row("analytic", "memory", 8192, size, placement=placement, kernel=kernel)) for size in sizes
            for placement in ("contiguous", "replicated_queries") for kernel in ("streamed", "materialised")]
    for size in sizes:
        loop = {**row("analytic", "memory", 8192, size, kernel="materialised", schedule="none"), "model": "serial_chunk_loop"}
        rows.append({**loop, "memory_peak_bytes": 48 * 2**20 + 2**31 // size})
    return rows + [with_memory(row("analytic", "memory", 4096 * 4**power, 4**power, placement=placement))
                   for power in range(0, 10) for placement in ("contiguous", "replicated_queries")]


def message_rows(random):
    rows = []
    for power in range(10, 25, 2):
        for messages in (1, 2):
            time = 9e-7 * messages + 2**power / 9e9
            samples = sorted((time * random.lognormal(0.0, 0.05, 11)).tolist())
            rows.append({"kind": "measured", "verb": "calibrate", "point": f"messages-{messages}-{2**power}",
                         "pattern": "ping_pong", "ranks": 2, "messages": messages, "message_bytes": 2**power, "time_s": samples[5], "samples_s": samples,
                         "time_s_interval": {"low": samples[1], "high": samples[9], "confidence": 0.98828125}})
    return rows


def number(value):
    return {"value": value, "kind": "measured", "source": "synthetic"}


def machine_document(random):
    tiles = [{"query_tokens": query, "key_tokens": key, "head_dim": HEAD_DIM, "mask": "none",
              "time_s": 4 * query * key * QUERY_HEADS * HEAD_DIM / (RATE * key / (key + 60) * query / (query + 20)),
              "samples_s": []} for query in (64, 256, 1024, 4096) for key in (64, 256, 1024, 4096)]
    messages = [{"pattern": pattern, "ranks": 2, "messages": count, "message_bytes": 2**power,
                 "time_s": (8e-7 * count + 2**power / (9e9 if pattern == "ping_pong" else 4.5e9))
                 * float(random.lognormal(0.0, 0.06)), "samples_s": []}
                for power in range(10, 25, 2) for pattern, count in (("ping_pong", 1), ("ping_pong", 2), ("shift", 1))]
    hold_out = [{"ring_size": size, "tokens": 1024 * size, "query_heads": 8, "kv_heads": 8, "head_dim": 64, "mask": "none",
                 "placement": "contiguous", "shares_cores": size > 2, "measured_s": 0.0134 * size * size / min(size, 2),
                 "predicted_s": 0.0134 * size * size / min(size, 2) * (1 + 0.03 * (-1) ** size), "samples_s": [],
                 "relative_error": 0.03 * (-1) ** size} for size in (1, 2, 3, 4, 5, 6, 7, 8)]
    return {"schema": "ringscale.machine", "schema_version": 1, "name": "synthetic", "kind": "measured",
            "description": "made up by a test", "provenance": PROVENANCE,
            "tiles": {"query_heads": QUERY_HEADS, "kv_heads": KV_HEADS, "samples": tiles},
            "links": [{"level": "node", "group_devices": 0, "latency_s": number(0.0), "per_message_overhead_s": number(8e-7),
                       "bandwidth_bytes_per_s": number(9e9), "sharing": number(1.0)}],
            "messages": {"fit_max_relative_residual": 0.2, "samples": messages},
            "overlap": {"hidden_fraction": number(0.93), "samples": [0.93]},
            "hold_out": {"median_relative_error": 0.03, "max_relative_error": 0.03, "points": hold_out}}


VERDICTS = (
    ("billion-token-run", "inconsistent", -1.84), ("scaling-series-throughput", "refuted", -5.26),
    ("ring-size-memory-series", "supported", 0.71), ("queries-never-divided", "refuted", -4.56),
    ("trillion-tokens-2-3-hours", "refuted", -2.96), ("max-chunk-ring-dilated", "not_testable_here", None),
    ("block-sparse-5-50x", "out_of_scope", None))


def verdict(claim, word, margin):
    hypotheses = [{"rank": 1, "model": name, "explains": "what would have run", "relative_residual_rms": 0.21,
                   "fitted_constants": {"tile_s": 0.031}, "number_of_fitted_constants": 1, "points": 4, "determined": True,
                   "physical": True} for name in ("exact_ring", "serial_loop_over_chunks")]
    entry = {
        "id": claim, "verdict": word, "margin": margin, "margin_unit": "decades", "margin_meaning": "synthetic",
        "statement": "A synthetic statement that is about as long as the real ones are, with 262,144 devices, "
                     "0.03 GB per device and 131,161 tokens/s in it.",
        "document": "synthetic-document", "section": "Synthetic section", "claim_kind": "throughput",
        "reasons": ["agrees (ratio): is the simulated throughput what the document prints? 18493 over 131161 is 0.141."],
        "checks": [{"kind": "ratio", "asks": "is the simulated throughput what the document prints?", "role": "required",
                    "finding": "contradicts", "margin": margin, "reason": "18493 over 131161 is 0.141."}],
        "evidence": [{"kind": "published", "source": "synthetic-document: Synthetic section", "figure": "statement",
                      "values": {"ring_size": 262144, "throughput_tokens_per_s": 131161}},
                     {"kind": "simulated", "source": "simulated.json#simulate-262144", "figure": "tokens_per_s", "value": 18493.0,
                      "interval": {"low": 17000.0, "high": 19800.0, "confidence": 0.9}, "check": 0},
                     {"kind": "measured", "source": "quick.json#ring-4", "figure": "time_s", "value": 0.053, "check": 0}]}
    return {**entry, "hypotheses": hypotheses} if claim == "scaling-series-throughput" else entry


def verdicts_document():
    return {"schema": "ringscale.verdicts", "schema_version": 1, "provenance": PROVENANCE,
            "verdicts": [verdict(*entry) for entry in VERDICTS]}


def results_document(verb, rows):
    return {"schema": "ringscale.results", "schema_version": 1, "run_id": "synthetic", "verb": verb, "provenance": PROVENANCE,
            "config": {"note": "synthetic data of a test"}, "rows": rows, "verdict": "valid", "reasons": []}


def ledger():
    """The two published series and the one number that figures draw, in the form of a claim ledger."""
    throughput = ((8192, 1, 90867), (32768, 8, 155964), (1048576, 256, 145311), (1073741824, 262144, 131161))
    memory = ((1, 2096.1), (2, 1072.1), (4, 560.1), (8, 304.1), (16, 176.1))
    return {"schema": "ringscale.claims", "schema_version": 1, "claims": [
        {"id": "scaling-series-throughput", "statement": "synthetic", "values": {"rows": [
            {"sequence_length_tokens": tokens, "ring_size": size, "throughput_tokens_per_s": rate}
            for tokens, size, rate in throughput]}},
        {"id": "ring-size-memory-series", "statement": "synthetic", "values": {
            "rows": [{"ring_size": size, "memory_mb": memory_mb} for size, memory_mb in memory],
            "sequence_length_tokens": 8192}},
        {"id": "packed-kv-50-percent-latency", "statement": "synthetic", "values": {"latency_reduction_percent": 50}}]}


def merge_rows():
    """Errors that stay with a float32 partial and grow as the root of the number of blocks with a rounded one."""
    made = []
    for dtype, merge_dtype, error in (("float32", "float32", 1e-8), ("bfloat16", "float32", 1.1e-8),
                                      ("bfloat16", "bfloat16", 2e-5), ("float16", "float32", 0.9e-8),
                                      ("float16", "float16", 3e-6)):
        for blocks in (1, 16, 256, 4096):
            mean = error * (blocks**0.5 if merge_dtype != "float32" else 1.0)
            errors = {f"{name}_{part}": value for name, middle in (("mean_error", mean), ("max_error", 8 * mean))
                      for part, value in (("median", middle), ("interval", {"low": 0.9 * middle, "high": 1.1 * middle,
                                                                            "confidence": 0.95}))}
            made.append({**row("measured", "attention", 8192, 1), **errors, "dtype": dtype, "merge_dtype": merge_dtype,
                         "merged_blocks": blocks, "mean_error": mean, "max_error": 9 * mean, "error_bound": 1.0,
                         "output_rms": 0.02, "threads": 1})
    return made


def published_rows():
    """Figures of two invented tables: most simulated, one by a formula, one that nothing predicts."""
    made = []
    for table, count in (("S1", 12), ("S2", 5)):
        for index in range(count):
            role = "fitted" if index % 4 == 0 else "predicted"
            value, ratio = 10.0 * (index + 1), 1.0 + 0.02 * ((index * 7) % 5 - 2)
            made.append({"kind": "simulated", "verb": "validate", "point": f"{table}[{index}].iter_per_s", "table": table,
                         "cell": f"{table}[{index}].iter_per_s", "row": index, "column": "iter_per_s", "unit": "1/s",
                         "published": value, "predicted": value * ratio, "relative_error": ratio - 1, "role": role,
                         "origin": "published", "trust": "high", "method": "ring simulated on none", "by_formula": False})
    exact = {**made[-1], "kind": "analytic", "cell": "S2[0].ratio", "point": "S2[0].ratio", "column": "ratio", "unit": "x",
             "published": 2.0, "predicted": 2.0, "relative_error": 0.0, "role": "predicted", "method": "a / b", "by_formula": True}
    nothing = {key: value for key, value in exact.items() if key not in ("method", "by_formula")}
    nothing.update(kind="published", cell="S2[1].power", point="S2[1].power", column="power", unit="W", predicted=None,
                   relative_error=None, role="not_predicted", reason="no model covers it")
    return [*made, exact, nothing]


def documents():
    """{file name: document}, the same at every call."""
    random = np.random.default_rng(1)
    simulated = [simulated_row(4096 * 4**power, 4**power) for power in range(0, 10)]
    simulated += [simulated_row(1024 * size, size) for size in (1, 2, 4, 8, 16, 64, 1024, 16384, 262144)]
    simulated += [simulated_row(4096, size) for size in (1, 2, 4, 8, 16)]
    attention = [{**row("measured", "attention", 8192, 1), "query_heads": 2, "time_s": 0.2, "samples_s": [0.2, 0.2, 0.2],
                  "gflop_per_s": 171.0, "fma_peak_gflop_per_s": 230.0, "share_of_peak": 0.743, "max_error": 4e-7,
                  "error_bound": 3e-5, "threads": 1}]
    return {"quick.json": results_document("sweep", ring_rows(random) + memory_rows()),
            "simulated.json": results_document("simulate", simulated),
            "attention.json": results_document("attention", attention),
            "merging.json": results_document("sweep", merge_rows()),
            "published.json": results_document("validate", published_rows()),
            "messages.json": results_document("calibrate", message_rows(random)),
            "machines/synthetic.json": machine_document(random), "verdicts.json": verdicts_document()}


def write(directory, names=None):
    """Writes all documents, or those named, and the ledger beside (not inside) the results folder."""
    for name, document in documents().items():
        if names is None or name in names:
            path = Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    path = Path(directory).parent / "ledger.json"
    path.write_text(json.dumps(ledger()), encoding="utf-8")
    return Path(directory), path


if __name__ == "__main__":
    write(sys.argv[1])
