// SPDX-License-Identifier: Apache-2.0
#include "validation/training_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "validation/attention_groups.hpp"
#include "validation/calibration_choice.hpp"
#include "validation/constant_search.hpp"
#include "validation/table_facts.hpp"
#include "validation/training_step.hpp"

namespace ringscale::validation {

namespace {

enum class TrainingQuantity { time, flop_rate, token_rate, utilisation, state_memory, activation_memory, memory };

bool is_memory(TrainingQuantity quantity) { return quantity >= TrainingQuantity::state_memory; }

struct TrainingCell {
  std::size_t row = 0;
  std::size_t column = 0;
  TrainingStep step;
  TrainingQuantity quantity = TrainingQuantity::time;
  double published = 0.0; ///< base units; a share for utilisation
  double scale = 1.0;
  bool per_device = false;
};

struct TrainingGroup {
  const machine::Machine *machine = nullptr;
  std::vector<TrainingCell> cells;
  std::vector<TrainingCell> repeated; ///< a run that another column of the row has too: with and without nothing
};

double figure(const TrainingCell &cell, const machine::Machine &machine, const TrainingConstants &constants) {
  if (cell.quantity == TrainingQuantity::utilisation) {
    return utilisation(cell.step, constants);
  }
  if (is_memory(cell.quantity)) {
    return (cell.quantity == TrainingQuantity::activation_memory ? 0.0 : state_bytes(cell.step)) +
           (cell.quantity == TrainingQuantity::state_memory ? 0.0 : activation_bytes(cell.step));
  }
  const double seconds = training_seconds(cell.step, machine, constants);
  const double devices = cell.per_device ? cell.step.devices() : 1.0;
  switch (cell.quantity) {
  case TrainingQuantity::flop_rate:
    return 3.0 * (product_flop(cell.step, cell.step.global_batch) + attention_flop(cell.step, cell.step.global_batch)) /
           (seconds * devices);
  case TrainingQuantity::token_rate:
    return cell.step.global_batch * cell.step.tokens / (seconds * devices);
  default:
    return seconds;
  }
}

Recompute read_recompute(const std::string &text) {
  const std::vector<std::string> words = words_of(text);
  if (has_word(words, "full")) {
    return Recompute::full;
  }
  const bool selective = has_word(words, "selective") || has_word(words, "sel") || has_word(words, "seqsel");
  return selective ? Recompute::selective : Recompute::none;
}

/// The context of a figure: the column of tokens that shares a word with its own (mfu_ring: context_ring_ktokens).
std::optional<double> tokens_of(const Table &table, std::size_t row, const Column &about, const RowFacts &facts) {
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    const Column &candidate = table.columns[column];
    if (candidate.unit.dimension != "token" || is_result(candidate)) {
      continue;
    }
    for (const std::string &word : parse_name(candidate.name).stem) {
      if (word != "context" && word != "sequence" && has_word(about.words, word)) {
        if (const auto value = table.number(row, column)) {
          return *value * candidate.unit.scale;
        }
      }
    }
  }
  return facts.number({"sequence_tokens", "context_tokens", "seq_len", "context_ktokens", "tokens"});
}

bool read_model(const RowFacts &facts, const std::vector<ModelShape> &shapes, TrainingStep &step, std::string &reason) {
  const auto layers = facts.number({"layers", "num_layers"});
  const auto hidden = facts.number({"hidden_size", "hidden", "embed_dim"});
  if (layers && hidden) {
    step.layers = *layers;
    step.hidden = *hidden;
    step.heads = facts.number({"query_heads", "heads", "num_heads"}).value_or(*hidden / 128.0);
    const auto kv_heads = facts.number({"kv_heads"});
    step.kv_share = kv_heads ? *kv_heads / step.heads : 1.0;
    // A feed-forward width that is stated belongs to a gated network of three matrices.
    const auto width = facts.number({"ffn_size", "feed_forward_size", "ffn_hidden_size"});
    step.feed_forward_products = width ? 3.0 * *width / *hidden : 8.0;
    step.vocabulary = facts.number({"vocabulary", "vocab_size"}).value_or(0.0);
    return true;
  }
  const auto size = facts.number({"model_params_b", "parameters_b", "model_size_b"});
  constexpr double billion = 1e9;
  const ModelShape *shape = size ? find_shape(shapes, *size / (*size > billion / 100.0 ? billion : 1.0)) : nullptr;
  if (shape == nullptr) {
    reason = size ? "no public shape is listed for a model of this size" : ""; // then it is about no whole model
    return false;
  }
  step.layers = static_cast<double>(shape->layers);
  step.hidden = static_cast<double>(shape->hidden_size);
  step.heads = static_cast<double>(shape->query_heads);
  step.feed_forward_products = 3.0 * static_cast<double>(shape->feed_forward_size) / step.hidden;
  return true;
}

bool read_layout(const Column &about, const RowFacts &facts, TrainingStep &step, std::string &reason) {
  step.tensor = facts.number({"tensor_parallel", "tp"}).value_or(1.0);
  step.pipeline = facts.number({"pipeline_parallel", "pp"}).value_or(1.0);
  step.context = facts.number({"context_parallel", "cp"}).value_or(1.0);
  const auto devices = facts.number({"gpus", "devices", "gpus_product", "world_size"});
  const double without_data = step.tensor * step.pipeline * step.context;
  step.data = facts.number({"data_parallel", "dp"}).value_or(devices ? std::max(1.0, *devices / without_data) : 1.0);
  step.interleaved = facts.number({"interleaved_stages", "virtual_stages"}).value_or(1.0);
  const auto batch = facts.number({"global_batch", "batch_size", "batch"});
  if (!batch) {
    reason = "the row and the setup give no global batch";
    return false;
  }
  step.global_batch = *batch;
  if (step.data > step.global_batch) {
    // More devices than sequences and no word about it: they divide the tokens.
    step.context *= step.data / step.global_batch;
    step.data = step.global_batch;
  }
  step.micro_batch = facts.number({"micro_batch"}).value_or(1.0);
  if (has_word(about.words, "without") && step.context > 1.0) {
    reason = "the parallel layout of the run without context parallelism is not given";
    return false;
  }
  return true;
}

std::optional<TrainingCell> read_training_cell(const Table &table, const std::vector<ModelShape> &shapes,
                                               const Prediction &open, std::string &reason) {
  const Column &about = table.columns[open.column];
  const RowFacts facts(table, open.row);
  TrainingCell cell;
  cell.row = open.row;
  cell.column = open.column;
  cell.scale = about.unit.scale;
  cell.per_device = about.unit.per_device;
  const std::string &dimension = about.unit.dimension;
  const bool share = dimension == "%" && (has_word(about.words, "mfu") || has_word(about.words, "utilization") ||
                                          has_word(about.words, "utilisation"));
  if (share) {
    cell.quantity = TrainingQuantity::utilisation;
    cell.scale = 0.01;
  } else if (dimension == "s" || dimension == "FLOP/s" || dimension == "token/s") {
    cell.quantity = dimension == "s"        ? TrainingQuantity::time
                    : dimension == "FLOP/s" ? TrainingQuantity::flop_rate
                                            : TrainingQuantity::token_rate;
  } else if (dimension == "byte") {
    const bool activations = has_word(about.words, "activations") || has_word(about.words, "activation");
    const bool state = has_word(about.words, "optimizer") || has_word(about.words, "params") ||
                       has_word(about.words, "state") || has_word(about.words, "weights");
    cell.quantity = activations ? TrainingQuantity::activation_memory
                    : state     ? TrainingQuantity::state_memory
                                : TrainingQuantity::memory;
  } else {
    return std::nullopt;
  }
  if (!read_model(facts, shapes, cell.step, reason)) {
    return std::nullopt;
  }
  const auto tokens = tokens_of(table, open.row, about, facts);
  if (!tokens) {
    reason = "the row and the setup give no tokens";
    return std::nullopt;
  }
  if (!share && !read_layout(about, facts, cell.step, reason)) {
    return std::nullopt;
  }
  cell.step.tokens = *tokens;
  if (is_memory(cell.quantity) && !facts.number({"tensor_parallel", "tp", "pipeline_parallel", "pp"})) {
    reason = "the row and the setup do not say how weights and activations are divided";
    return std::nullopt;
  }
  const std::string attention = facts.text({"attention"});
  cell.step.scores_materialised = attention.find("materialised") != std::string::npos;
  cell.step.causal = facts.truth("causal").value_or(attention.find("causal") != std::string::npos);
  const std::string recompute = facts.text({"recompute", "recomputation", "activation_checkpointing"});
  cell.step.recompute = read_recompute(recompute);
  cell.step.sequence_parallel = recompute.find("seq") != std::string::npos || attention.empty();
  const std::vector<std::string> precision = words_of(facts.text({"precision", "dtype"}));
  cell.step.element_bytes = facts.number({"element_bytes"}).value_or(has_word(precision, "fp8") ? 1.0 : 2.0);
  cell.published = table.number(open.row, open.column).value_or(0.0) * cell.scale;
  return cell.published > 0.0 ? std::optional(cell) : std::nullopt;
}

/// Several utilisations of one row are of one model and machine at different contexts: the shortest context gives the
/// level (fitted), and longer ones are expected to keep it. Takes these figures out of the group.
void predict_kept_utilisation(const Table &table, TrainingGroup &group,
                              std::map<std::pair<std::size_t, std::size_t>, Prediction *> &places,
                              std::vector<Fit> &fits) {
  std::vector<TrainingCell> rest;
  for (const TrainingCell &cell : group.cells) {
    const TrainingCell *shortest = nullptr;
    std::size_t figures = 0;
    for (const TrainingCell &other : group.cells) {
      if (other.row == cell.row && other.quantity == TrainingQuantity::utilisation) {
        ++figures;
        shortest = shortest == nullptr || other.step.tokens < shortest->step.tokens ? &other : shortest;
      }
    }
    if (cell.quantity != TrainingQuantity::utilisation || figures < 2) {
      rest.push_back(cell);
      continue;
    }
    Prediction &prediction = *places.at({cell.row, cell.column});
    prediction.value = shortest->published / cell.scale;
    prediction.kind = "analytic";
    prediction.method = "utilisation of the shortest context, kept";
    prediction.role = Role::predicted;
    if (shortest->column == cell.column) {
      prediction.role = Role::fitted;
      const std::string name = cell_name(table, cell.row, cell.column);
      add_fit(fits, "utilisation of the shortest context of row " + std::to_string(cell.row), cell.published, "1",
              {name});
    }
  }
  group.cells = std::move(rest);
}

void predict_group(const Table &table, const TrainingGroup &group,
                   std::map<std::pair<std::size_t, std::size_t>, Prediction *> &places, std::vector<Fit> &fits) {
  const bool shares_alone = group.cells.front().quantity == TrainingQuantity::utilisation;
  // Without a layout the shares stand for the whole step, so both begin at what whole steps reach.
  const double product_start = shares_alone ? 0.35 : 0.65;
  const double attention_start = shares_alone ? 0.35 : 0.45;
  std::vector<Unknown> unknowns{{product_start, 0.02, 1.0, 0.03}, {attention_start, 0.02, 1.0, 0.03}};
  if (!shares_alone) {
    unknowns.push_back({1.0, 0.01, 4.0, 0.005});
  }
  const auto constants_of = [&](const std::vector<double> &values) {
    return TrainingConstants{values[0], values[1], values.size() > 2 ? values[2] : 0.0};
  };
  const std::size_t figures = group.cells.size();
  const std::size_t count = std::min((figures + 1) / 3, std::max(unknowns.size(), (figures + 4) / 8));
  std::vector<std::vector<std::string>> features;
  for (const TrainingCell &cell : group.cells) {
    const TrainingStep &step = cell.step;
    features.push_back({std::to_string(step.tokens), std::to_string(static_cast<int>(step.recompute)),
                        std::to_string(step.tensor), std::to_string(step.pipeline), std::to_string(step.hidden),
                        std::to_string(step.context)});
  }
  const std::vector<std::size_t> calibration = choose_calibration(features, count);
  std::vector<std::string> names;
  for (const std::size_t place : calibration) {
    const TrainingCell &cell = group.cells[place];
    names.push_back(cell_name(table, cell.row, cell.column));
    places.at({cell.row, cell.column})->role = Role::fitted;
  }
  const std::vector<double> values = search_constants(unknowns, [&](const std::vector<double> &tried) {
    double sum = 0.0;
    for (const std::size_t place : calibration) {
      const TrainingCell &cell = group.cells[place];
      sum += soft_distance(figure(cell, *group.machine, constants_of(tried)) / cell.published);
    }
    return calibration.empty() ? 0.0 : sum / static_cast<double>(calibration.size());
  });
  const std::array<const char *, 3> meanings{"share of the peak of weight products", "share of the peak of attention",
                                             "wait for tensor-parallel messages over their time at full bandwidth"};
  for (std::size_t index = 0; index < values.size(); ++index) {
    add_fit(fits, std::string(meanings[index]) + " on " + group.machine->name, values[index], "1", names);
  }
  for (const TrainingCell &cell : group.cells) {
    Prediction &prediction = *places.at({cell.row, cell.column});
    prediction.role = prediction.role == Role::fitted ? Role::fitted : Role::predicted;
    prediction.value = figure(cell, *group.machine, constants_of(values)) / cell.scale;
    prediction.kind = "analytic";
    prediction.method = "training step on " + group.machine->name;
    for (const TrainingCell &twin : group.repeated) {
      if (twin.row == cell.row && twin.quantity == cell.quantity && twin.step == cell.step) {
        Prediction &same = *places.at({twin.row, twin.column});
        same.role = prediction.role;
        same.value = prediction.value;
        same.kind = prediction.kind;
        same.method = "the same run as " + cell_name(table, cell.row, cell.column);
      }
    }
  }
}

} // namespace

void predict_training(const Table &table, const std::vector<machine::Machine> &machines,
                      const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions,
                      std::vector<Fit> &fits) {
  std::map<std::string, TrainingGroup> groups;
  std::map<std::pair<std::size_t, std::size_t>, Prediction *> places;
  for (Prediction &prediction : predictions) {
    std::string reason;
    const auto cell = read_training_cell(table, shapes, prediction, reason);
    if (!cell) {
      prediction.reason = reason.empty() ? prediction.reason : reason;
      continue;
    }
    const machine::Machine *machine = choose_machine(machines, RowFacts(table, prediction.row).all_words());
    if (machine == nullptr) {
      prediction.reason = "no machine file for the device of this row";
      continue;
    }
    places[{prediction.row, prediction.column}] = &prediction;
    TrainingGroup &group = groups[machine->name];
    group.machine = machine;
    if (is_memory(cell->quantity)) {
      prediction.role = Role::predicted;
      prediction.value = figure(*cell, *machine, {}) / cell->scale;
      prediction.kind = "analytic";
      prediction.method = "bytes of a training step";
      continue;
    }
    const bool again = cell->quantity != TrainingQuantity::utilisation &&
                       std::any_of(group.cells.begin(), group.cells.end(), [&](const TrainingCell &other) {
                         return other.row == cell->row && other.quantity == cell->quantity && other.step == cell->step;
                       });
    (again ? group.repeated : group.cells).push_back(*cell);
  }
  for (auto &[name, group] : groups) {
    predict_kept_utilisation(table, group, places, fits);
    if (!group.cells.empty()) {
      predict_group(table, group, places, fits);
    }
  }
}

} // namespace ringscale::validation
