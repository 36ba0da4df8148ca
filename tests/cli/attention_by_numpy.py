# SPDX-License-Identifier: Apache-2.0
"""Attention and its gradients by definition, in NumPy and double precision: nothing here shares code with the kernels."""

import numpy as np


def dense_multiplicity(heads, queries, keys, causal=False, query_begin=0):
    """m[h, i, j] of dense attention: 1 where query i admits key j."""
    admitted = np.ones((queries, keys))
    if causal:
        admitted = (np.arange(keys)[None, :] <= query_begin + np.arange(queries)[:, None]).astype(float)
    return np.broadcast_to(admitted, (heads, queries, keys))


def dilated_multiplicity(heads, queries, keys, segment_lengths, dilation_rates, convention, causal=False):
    """m[h, i, j]: how many groups admit the pair for head h."""
    groups = len(segment_lengths)
    times = np.zeros((heads, queries, keys))
    for head in range(heads):
        for group, (length, rate) in enumerate(zip(segment_lengths, dilation_rates)):
            if convention == "split":
                short, longer = divmod(heads, groups)
                begin = group * short + min(group, longer)
                end = begin + short + (1 if group < longer else 0)
                if not begin <= head < end:
                    continue
                phase = group % rate
            elif convention == "longnet":
                phase = head % rate
            else:
                phase = head // -(-heads // rate)
            i, j = np.arange(queries)[:, None], np.arange(keys)[None, :]
            times[head] += (i // length == j // length) & (i % length % rate == phase) & (j % length % rate == phase)
    return times * dense_multiplicity(heads, queries, keys, causal)


def attention(query, key, value, multiplicity, output_gradient=None, scale=None):
    """Output, log-sum-exp and, with the output's gradient, dq, dk and dv; tensors are [batch, tokens, heads, head_dim]."""
    query, key, value = (np.asarray(tensor, dtype=np.float64) for tensor in (query, key, value))
    batch, queries, heads, head_dim = query.shape
    group = heads // key.shape[2]
    scale = 1 / np.sqrt(head_dim) if scale is None else scale
    output = np.zeros_like(query)
    log_sum_exp = np.full((batch, queries, heads), -np.inf)
    gradients = [np.zeros_like(tensor) for tensor in (query, key, value)]
    for b in range(batch):
        for h in range(heads):
            q, k, v = query[b, :, h], key[b, :, h // group], value[b, :, h // group]
            times = multiplicity[h]
            scores = np.where(times > 0, scale * q @ k.T, -np.inf)
            largest = scores.max(axis=1, initial=-np.inf)
            covered = np.isfinite(largest)
            exponentials = times * np.exp(scores - np.where(covered, largest, 0)[:, None])
            sums = exponentials.sum(axis=1)
            weights = exponentials / np.where(covered, sums, 1)[:, None]
            output[b, :, h] = weights @ v
            log_sum_exp[b, covered, h] = largest[covered] + np.log(sums[covered])
            if output_gradient is not None:
                d_output = np.asarray(output_gradient, dtype=np.float64)[b, :, h]
                d_weights = d_output @ v.T
                d_scores = weights * (d_weights - (weights * d_weights).sum(axis=1, keepdims=True))
                gradients[0][b, :, h] = scale * d_scores @ k
                gradients[1][b, :, h // group] += scale * d_scores.T @ q
                gradients[2][b, :, h // group] += weights.T @ d_output
    return output, log_sum_exp, gradients


def to_bfloat16(tensor):
    """Bits of the nearest bfloat16, ties to even, as uint16."""
    bits = np.asarray(tensor, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits):
    return (np.asarray(bits, dtype=np.uint32) << 16).view(np.float32)
