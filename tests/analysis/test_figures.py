# SPDX-License-Identifier: Apache-2.0
"""What the figures draw: marks by kind, values, what is missing, and the same bytes for the same input."""
import json
import re

import matplotlib.colors
import numpy as np
import pytest
import synthetic_results
from conftest import loaded

import load
import style
from figures import calibration, communication, equality, memory, merging, published, scaling, throughput

MODULES = (throughput, memory, scaling, equality, merging, communication, calibration, published)


def drawn_lines(figure):
    """{gid: line} of everything drawn by style.draw."""
    return {line.get_gid(): line for axes in figure.axes for line in axes.get_lines() if line.get_gid()}


def points(figure, gid):
    """{x: y} of one drawn series."""
    line = drawn_lines(figure)[gid]
    return dict(zip(line.get_xdata(), line.get_ydata()))


@pytest.fixture
def everything(results):
    return loaded(*results)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_every_mark_has_the_style_of_its_kind(everything, module):
    drawn = module.draw(everything)
    kinds = set()
    for gid, line in drawn_lines(drawn.figure).items():
        kind = gid.split(".")[0]
        look = style.KIND_STYLE[kind]
        kinds.add(kind)
        if gid.endswith(".points"):
            control = "negative-control" in gid
            assert line.get_marker() == ("D" if control else look["marker"]), gid
            assert line.get_fillstyle() == look["fillstyle"], gid
        elif gid.endswith(".line"):
            assert line.get_linestyle() == ("--" if kind == "simulated" else "-"), gid
    assert drawn.missing == []
    assert kinds - {"analytic"} <= set(drawn.kinds)
    svg = style.svg_text(drawn.figure)
    for kind in drawn.kinds:
        assert re.search(rf'id="{kind}\.', svg), f"{kind} is listed but not drawn"
    style.close(drawn.figure)


def test_no_two_kinds_look_alike():
    looks = [(look["marker"], look["fillstyle"], str(look["linestyle"])) for look in style.KIND_STYLE.values()]
    assert len(set(looks)) == len(looks)
    assert set(style.KIND_STYLE) == set(load.KINDS) == set(style.KIND_WORDS)
    measured, simulated = style.KIND_STYLE["measured"], style.KIND_STYLE["simulated"]
    for key in ("marker", "fillstyle", "linestyle"):
        assert measured[key] != simulated[key]


def test_an_unknown_kind_cannot_be_drawn():
    figure, (axes,) = style.new_figure(1, 1)
    with pytest.raises(ValueError):
        style.draw(axes, "guessed", "series", [1], [1], "#000000")
    style.close(figure)


def _seen(colour, matrix):
    """A colour as seen with a colour vision deficiency (Machado et al. 2009, severity 1), in CIE Lab."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 1e-6))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_first_colours_differ_for_every_colour_vision():
    visions = {"normal": np.eye(3),
               "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                                         [-0.011820, 0.042940, 0.968881]]),
               "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                                       [-0.003882, -0.048116, 1.051998]])}
    for name, matrix in visions.items():
        seen = [_seen(colour, matrix) for colour in style.COLOURS[:4]]
        for i, first in enumerate(seen):
            assert np.linalg.norm(first - _seen("#ffffff", matrix)) > 35, f"{style.COLOURS[i]} is too light ({name})"
            for other in seen[:i]:
                assert np.linalg.norm(first - other) > 15, f"{name}: {style.COLOURS[i]}"


def test_measured_points_are_the_medians_of_their_samples(everything):
    drawn = scaling.draw(everything)
    shown = points(drawn.figure, "measured.1.contiguous-no-mask-1-024-tokens-per-rank.points")
    rows = [row for row in everything.rows if row["kind"] == "measured" and row["verb"] == "ring" and row["verdict"] == "valid"
            and row["placement"] == "contiguous" and row["mask"] == "none" and row["kernel"] == "streamed"
            and row["chunk_tokens"] == 1024 and row.get("progress") == "polled"]
    assert set(shown) == {1, 2, 3, 4, 6, 8}
    line = drawn_lines(drawn.figure)["measured.1.contiguous-no-mask-1-024-tokens-per-rank.points"]
    expected = sorted((row["ring_size"], float(np.median(row["samples_s"]))) for row in rows)
    assert sorted(zip(line.get_xdata(), line.get_ydata())) == pytest.approx(expected, rel=1e-12)
    style.close(drawn.figure)


def test_weak_efficiency_is_ideal_when_time_grows_as_the_ring():
    rows = [{"ring_size": size, "time_s": 2.0 * size} for size in (1, 2, 4, 8)]
    assert scaling.efficiency(rows, weak=True) == ([1, 2, 4, 8], [1.0] * 4)
    rows = [{"ring_size": size, "time_s": 2.0 * size * size} for size in (1, 2, 4)]
    assert scaling.efficiency(rows, weak=True)[1] == [1.0, 0.5, 0.25]


def test_strong_efficiency_is_ideal_when_time_falls_as_the_ring():
    rows = [{"ring_size": size, "time_s": 2.0 / size} for size in (1, 2, 4, 8)]
    assert scaling.efficiency(rows, weak=False)[1] == [1.0] * 4
    rows = [{"ring_size": size, "time_s": 2.0} for size in (1, 2, 4)]
    assert scaling.efficiency(rows, weak=False)[1] == [1.0, 0.5, 0.25]
    assert scaling.efficiency(rows[1:], weak=False) == ([], [])


def test_published_throughput_per_device_is_the_total_over_devices(everything):
    series = throughput.published_series(everything)
    assert [row["ring_size"] for row in series] == [1, 8, 256, 262144]
    assert series[-1]["tokens_per_s_per_device"] == pytest.approx(0.50034, rel=1e-4)
    drawn = throughput.draw(everything)
    total = points(drawn.figure, "published.1.scaling-series.points")
    share = points(drawn.figure, "published.2.scaling-series.points")
    assert all(share[size] == total[size] / size for size in total)
    style.close(drawn.figure)


def test_linear_scaling_line_goes_through_the_first_published_point(everything):
    drawn = throughput.draw(everything)
    line = points(drawn.figure, "analytic.1.linear-scaling")
    assert line == {1: 90867, 262144: 90867 * 262144}
    style.close(drawn.figure)


def test_published_memory_is_read_as_mebibytes(everything):
    series = memory.published_series(everything)
    assert [row["memory_peak_bytes"] / 2**20 for row in series] == [2096.1, 1072.1, 560.1, 304.1, 176.1]


def test_the_model_nearest_to_the_published_memory_is_found(everything):
    series = memory.published_series(everything)
    analytic = [row for row in everything.rows if row["kind"] == "analytic" and row.get("tokens") == 8192]
    model, difference = memory.closest_model(analytic, series)
    assert (model, difference / 2**20) == ("serial_chunk_loop", pytest.approx(0.1))
    assert memory.closest_model(analytic, []) is None and memory.closest_model([], series) is None


def test_memory_model_of_a_run_follows_placement_and_kernel():
    assert memory.model_of({"placement": "zigzag", "kernel": "streamed"}) == "ring_sharded"
    assert memory.model_of({"placement": "replicated_queries", "kernel": "materialised"}) == "ring_replicated_queries_materialised"
    assert memory.model_of({"placement": "contiguous", "kernel": "streamed", "model": "ideal_sharded"}) == "ideal_sharded"


def test_negative_controls_are_drawn_as_such_and_nowhere_else(everything):
    drawn = equality.draw(everything)
    shown = points(drawn.figure, "measured.1.negative-control.points")
    assert shown == {4: 0.3}
    others = [line for gid, line in drawn_lines(drawn.figure).items()
              if gid.startswith("measured.1.") and "negative-control" not in gid]
    assert len(others) == 4  # one series a placement
    assert all(value < 1e-5 for line in others for value in line.get_ydata())
    style.close(drawn.figure)
    assert not any(row.get("softmax") == "per_chunk" or row.get("schedule") == "local_only"
                   for row in scaling.timed(everything))


def test_invalid_rows_never_enter_scaling(everything):
    row = next(row for row in everything.rows if row["kind"] == "measured" and row["verb"] == "ring")
    assert row in scaling.timed(everything)
    row["verdict"] = "invalid"
    assert row not in scaling.timed(everything)


def test_saving_of_packing_compares_medians_of_equal_sizes(everything):
    pairs = communication.packing_pairs([row for row in everything.rows if "messages" in row])
    assert [size for size, _, _ in pairs] == [2**power for power in range(10, 25, 2)]
    assert communication.packing_pairs([{"messages": 1, "message_bytes": 8, "time_s": 1.0}]) == []
    for size, one, two in pairs[:2]:
        assert 0.3 < 1 - one / two < 0.6, size


def test_message_fit_is_latency_and_shared_bandwidth():
    machine = {"links": [{"latency_s": {"value": 1e-6}, "per_message_overhead_s": {"value": 5e-7},
                          "bandwidth_bytes_per_s": {"value": 1e9}, "sharing": {"value": 0.5}}]}
    assert calibration.message_fit(machine, 1000, 1) == pytest.approx(1e-6 + 5e-7 + 1e-6)
    assert calibration.message_fit(machine, 1000, 3) == pytest.approx(1e-6 + 5e-7 + 2e-6)
    assert calibration.message_fit({}, 1000, 2) is None


def test_tile_rate_counts_both_products():
    machine = {"tiles": {"query_heads": 2, "samples": [{"query_tokens": 10, "key_tokens": 20, "head_dim": 64, "mask": "none",
                                                       "time_s": 1e-6}]}}
    assert calibration.tile_rates(machine) == {(64, 10): [(20, pytest.approx(4 * 10 * 20 * 2 * 64 / 1e-6 / 1e9))]}


def test_hold_out_median_is_recomputed_from_the_points():
    machine = {"hold_out": {"points": [{"measured_s": 1.0, "predicted_s": value} for value in (1.1, 0.8, 1.0)]}}
    assert calibration.hold_out_median(machine) == pytest.approx(0.1)
    assert calibration.hold_out_median({}) is None


def test_merging_draws_one_line_for_each_dtype_and_precision_of_the_partial(everything):
    drawn = merging.draw(everything)
    panel = drawn.figure.axes[0]
    lines = [line for line in panel.lines if str(line.get_gid()).endswith(".line")]
    assert len(lines) == 5
    shown = points(drawn.figure, "measured.1.bfloat16-tensors-partial-in-bfloat16.points")
    expected = {row["merged_blocks"]: row["mean_error_median"] for row in everything.rows
                if row.get("merge_dtype") == "bfloat16"}
    assert shown == pytest.approx(expected)
    guides = [line for line in panel.lines if "roundoff-bfloat16" in str(line.get_gid())]
    assert list(guides[0].get_ydata()) == pytest.approx([2.0**-8 * 0.02] * 2)
    assert "bfloat16: power 0.50" in drawn.caption and drawn.kinds == ["measured"]
    style.close(drawn.figure)


def test_growth_exponent_is_the_slope_between_first_and_last():
    rows = [load.Row({"merged_blocks": blocks, "mean_error": 1e-5 * blocks**0.5}, "s") for blocks in (64, 1, 8)]
    assert merging.growth_exponent(rows) == pytest.approx(0.5)
    assert merging.growth_exponent(rows[:1]) is None


def test_published_tables_are_drawn_as_predicted_over_published(everything):
    drawn = published.draw(everything)
    rows = [row for row in everything.rows if row.get("verb") == "validate"]
    simulated = [row for row in rows if row["kind"] == "simulated"]
    shown = [y for role in ("predicted", "fitted") for y in points(drawn.figure, f"simulated.1.{role}.points").values()]
    assert sorted(shown) == pytest.approx(sorted(row["predicted"] / row["published"] for row in simulated))
    assert len(simulated) < len(rows), "figures of formulas and those that nothing predicts are not drawn as simulated"
    errors = [abs(row["predicted"] / row["published"] - 1) for row in simulated if row["role"] == "predicted"]
    assert published.median_error(simulated) == pytest.approx(float(np.median(errors)))
    assert f"{100 * np.median(errors):.3g} %" in drawn.caption
    style.close(drawn.figure)


def test_every_table_has_a_column_of_its_own():
    found = [{"table": name} for name in ("a", "b", "a", "a")]
    names, positions = published.places(found)
    assert names == ["a", "b"]
    assert all(abs(x - names.index(row["table"])) < 0.5 for x, row in zip(positions, found))
    assert len(set(positions)) == 4


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_missing_rows_are_said_with_the_command_that_makes_them(tmp_path, module):
    (tmp_path / "empty.json").write_text(json.dumps(synthetic_results.results_document("sweep", [])))
    drawn = module.draw(loaded(tmp_path))
    assert drawn.missing and drawn.kinds == []
    for what, command in drawn.missing:
        assert what and "ringscale" in command
    assert 'id="missing.' in style.svg_text(drawn.figure)
    style.close(drawn.figure)


@pytest.mark.parametrize("name", ["quick.json", "simulated.json", "messages.json", "attention.json", "machines/synthetic.json"])
def test_figures_stand_with_any_one_document_alone(tmp_path, name):
    directory, _ = synthetic_results.write(tmp_path / "results", [name])
    found = loaded(directory)
    for module in MODULES:
        style.close(module.draw(found).figure)


def test_a_single_row_of_each_kind_is_enough_to_draw(everything):
    for kind in ("measured", "simulated", "analytic"):
        alone = load.Results(everything.directory, rows=[next(row for row in everything.rows if row["kind"] == kind)])
        for module in MODULES:
            drawn = module.draw(alone)
            style.svg_text(drawn.figure)
            style.close(drawn.figure)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_the_same_input_gives_the_same_bytes(results, module):
    texts = []
    for _ in range(2):
        drawn = module.draw(loaded(*results))
        texts.append((style.svg_text(drawn.figure), style.png_bytes(drawn.figure)))
        style.close(drawn.figure)
    assert texts[0] == texts[1]
    assert "<dc:date>" not in texts[0][0]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_no_text_overlaps_another_or_leaves_the_figure(everything, module):
    drawn = module.draw(everything)
    figure = drawn.figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = []
    for axes in figure.axes:
        if not axes.axison:
            continue
        texts = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes += [(text.get_text(), text) for text in texts if text.get_visible() and text.get_text()]
    for legend in figure.legends:
        boxes += [(text.get_text(), text) for text in legend.get_texts()]
    width, height = figure.canvas.get_width_height()
    polygons = []
    for words, text in boxes:
        box = text.get_window_extent(renderer)
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, words
        if text.get_rotation() in (0.0, 90.0):
            polygons.append((words, box))
    for index, (words, box) in enumerate(polygons):
        for other_words, other in polygons[:index]:
            apart = (box.x1 <= other.x0 + 1 or other.x1 <= box.x0 + 1 or box.y1 <= other.y0 + 1 or other.y1 <= box.y0 + 1)
            assert apart, f'"{words}" lies on "{other_words}"'
    style.close(figure)
