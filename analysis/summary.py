# SPDX-License-Identifier: Apache-2.0
"""The report's opening sentences, made from rows; each number carries its kind."""
import collections

import rows as choose
from figures import equality, scaling

VERDICT_WORDS = {"supported": "supported", "refuted": "refuted", "inconsistent": "inconsistent",
                 "not_testable_here": "not testable here", "out_of_scope": "out of scope"}


def equality_sentence(results):
    """How many real runs equalled the reference, or None."""
    found = [row for row in choose.select(results.rows, needs=("ring_size",), kind="measured", verb="ring")
             if "max_error" in row or row.get("verified")]
    right = [row for row in found if not equality.is_control(row)]
    with_error = [row for row in right if "max_error" in row]
    if not with_error:
        return None
    # A verified run without an error had one that is not a number: it is not within its bound.
    within = [row for row in with_error if row["max_error"] <= row["error_bound"]]
    worst = max(with_error, key=lambda row: row["max_error"] / row["error_bound"])
    sizes = choose.distinct(right, "ring_size")
    control = [row for row in found if equality.is_control(row)]
    caught = [row for row in control if "max_error" not in row or not row["max_error"] <= row["error_bound"]]
    text = (f"Ring attention on {sizes[0]} to {sizes[-1]} real ranks equalled the double-precision reference within its "
            f"error bound in {len(within)} of {len(right)} runs (largest error {choose.number(worst['max_error'])}, "
            f"{choose.number(100 * worst['max_error'] / worst['error_bound'], 2)} % of its bound)")
    if control:
        text += f"; {len(caught)} of {len(control)} deliberately wrong runs were caught"
    return "measured", text + "."


def memory_sentence(results):
    """How often the ledger equalled the closed form."""
    found = choose.select(results.rows, needs=("memory_peak_bytes", "memory_closed_form_bytes"), kind="measured")
    if not found:
        return None
    equal = sum(row["memory_peak_bytes"] == row["memory_closed_form_bytes"] for row in found)
    return "measured", (f"The memory ledger's high-water mark equalled the closed form to the byte in {equal} of "
                        f"{len(found)} runs.")


def hold_out_sentence(results):
    """The simulator's own error on points that it was not fitted on."""
    found = choose.select(results.rows, needs=("hold_out_median_relative_error",), kind="simulated")
    errors = sorted({row["hold_out_median_relative_error"] for row in found if row.get("hold_out_points", 1) > 0})
    if not errors:
        return None
    return "simulated", (f"On measured points that it was not fitted on, the simulator was off by "
                         f"{choose.number(100 * errors[-1], 2)} % (median relative error).")


def largest_ring_sentence(results):
    """The largest simulated ring and what one of its devices is worth."""
    found = [row for row in choose.select(scaling.timed(results), needs=("tokens_per_s",), kind="simulated")
             if row.get("machine_kind", "measured") == "measured"]
    if not found:
        return None
    row = max(found, key=lambda entry: (entry["ring_size"], entry["tokens"], entry.source))
    text = (f"A ring of {choose.integer(row['ring_size'])} devices like this one with "
            f"{choose.integer(row['chunk_tokens'])} tokens each needs {choose.seconds(row['time_s'])} for one forward pass of "
            f"{choose.integer(row['tokens'])} tokens: {choose.number(row['tokens_per_s'])} tokens/s in total, "
            f"{choose.number(row['tokens_per_s'] / row['ring_size'])} per device")
    if "memory_peak_bytes" in row:
        text += f", {choose.size(row['memory_peak_bytes'])} of memory each"
    return "simulated", text + "."


def kernel_sentence(results):
    """Best share of the FMA peak of the attention kernel."""
    found = choose.select(results.rows, needs=("share_of_peak", "gflop_per_s"), kind="measured")
    if not found:
        return None
    row = max(found, key=lambda entry: (entry["share_of_peak"], entry.source))
    return "measured", (f"The attention kernel reached {choose.number(row['gflop_per_s'])} GFLOP/s, "
                        f"{100 * row['share_of_peak']:.0f} % of the FMA peak measured in the same process "
                        f"(head_dim {row.get('head_dim', '?')}, {choose.integer(row['tokens'])} tokens).")


def verdict_counts(results):
    """(word, count) in the order of VERDICT_WORDS, unknown verdicts last."""
    counts = collections.Counter(verdict["verdict"] for verdict in results.verdicts)
    order = [word for word in VERDICT_WORDS if word in counts] + sorted(set(counts) - set(VERDICT_WORDS))
    return [(word, counts[word]) for word in order]


def sentences(results):
    """(kind, text) of everything that these results can say."""
    made = (equality_sentence(results), kernel_sentence(results), memory_sentence(results), hold_out_sentence(results),
            largest_ring_sentence(results))
    return [sentence for sentence in made if sentence is not None]
