// SPDX-License-Identifier: Apache-2.0
#include "report/machine_document.hpp"

#include <limits>
#include <optional>

#include "problem/invalid_input.hpp"

namespace ringscale::report {

using machine::Machine;
using machine::Number;

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 4;

Json to_json(const Number &number) {
  return {{"value", number.value}, {"kind", number.kind}, {"source", number.source}};
}

Number read_number(const ObjectReader &parent, const std::string &key) {
  const ObjectReader object = parent.object(key);
  Number number;
  number.value = object.number("value");
  number.kind = object.text("kind");
  number.source = object.text("source");
  object.finish();
  return number;
}

std::optional<Number> read_number_if_there(const ObjectReader &parent, const std::string &key) {
  return parent.has(key) ? std::optional<Number>(read_number(parent, key)) : std::nullopt;
}

Json device_to_json(const machine::DeviceNumbers &device) {
  return {{"memory_bytes", to_json(device.memory_bytes)}, {"peak_flop_per_s", to_json(device.peak_flop_per_s)}};
}

Json samples_to_json(const std::vector<machine::TileSample> &tiles) {
  Json samples = Json::array();
  for (const machine::TileSample &sample : tiles) {
    samples.push_back({{"query_tokens", sample.query_tokens},
                       {"key_tokens", sample.key_tokens},
                       {"head_dim", sample.head_dim},
                       {"mask", problem::name(sample.mask)},
                       {"time_s", sample.time_s},
                       {"samples_s", sample.samples_s}});
  }
  return samples;
}

Json reuse_to_json(const std::vector<machine::ReuseSample> &reuse) {
  Json samples = Json::array();
  for (const machine::ReuseSample &sample : reuse) {
    samples.push_back({{"tokens", sample.tokens},
                       {"mask", problem::name(sample.mask)},
                       {"alone_s", sample.alone_s},
                       {"in_turn_s", sample.in_turn_s},
                       {"alone_samples_s", sample.alone_samples_s},
                       {"in_turn_samples_s", sample.in_turn_samples_s}});
  }
  return samples;
}

Json tiles_to_json(const machine::TileTable &table) {
  Json object = {
      {"query_heads", table.query_heads}, {"kv_heads", table.kv_heads}, {"samples", samples_to_json(table.samples)}};
  if (!table.backward_samples.empty()) {
    object["backward_samples"] = samples_to_json(table.backward_samples);
    object["backward_ring_factor"] = to_json(table.backward_ring_factor);
  }
  if (!table.reuse.empty()) {
    object["reuse"] = reuse_to_json(table.reuse);
  }
  if (!table.backward_reuse.empty()) {
    object["backward_reuse"] = reuse_to_json(table.backward_reuse);
  }
  return object;
}

std::vector<machine::TileSample> read_samples(const ObjectReader &object, const std::string &key) {
  std::vector<machine::TileSample> samples;
  for (const ObjectReader &entry : object.objects(key)) {
    machine::TileSample sample;
    sample.query_tokens = entry.integer("query_tokens", 1, most);
    sample.key_tokens = entry.integer("key_tokens", 1, most);
    sample.head_dim = entry.integer("head_dim", 1, 1024);
    sample.mask = problem::parse_mask(entry.text("mask"));
    sample.time_s = entry.number("time_s");
    sample.samples_s = entry.numbers("samples_s");
    entry.finish();
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::vector<machine::ReuseSample> read_reuse(const ObjectReader &object, const std::string &key) {
  std::vector<machine::ReuseSample> samples;
  for (const ObjectReader &entry : object.has(key) ? object.objects(key) : std::vector<ObjectReader>{}) {
    machine::ReuseSample sample;
    sample.tokens = entry.integer("tokens", 1, most);
    sample.mask = problem::parse_mask(entry.text("mask"));
    sample.alone_s = entry.number("alone_s");
    sample.in_turn_s = entry.number("in_turn_s");
    sample.alone_samples_s = entry.numbers("alone_samples_s");
    sample.in_turn_samples_s = entry.numbers("in_turn_samples_s");
    entry.finish();
    samples.push_back(std::move(sample));
  }
  return samples;
}

machine::TileTable read_tiles(const ObjectReader &object) {
  machine::TileTable table;
  table.query_heads = object.integer("query_heads", 1, most);
  table.kv_heads = object.integer("kv_heads", 1, most);
  table.samples = read_samples(object, "samples");
  if (object.has("backward_samples")) {
    table.backward_samples = read_samples(object, "backward_samples");
  }
  if (object.has("backward_ring_factor")) {
    table.backward_ring_factor = read_number(object, "backward_ring_factor");
  }
  table.reuse = read_reuse(object, "reuse");
  table.backward_reuse = read_reuse(object, "backward_reuse");
  object.finish();
  return table;
}

Json roofline_to_json(const machine::Roofline &roofline) {
  Json arithmetic = Json::array();
  for (const machine::Arithmetic &entry : roofline.arithmetic) {
    arithmetic.push_back({{"dtype", entry.dtype},
                          {"element_bytes", entry.element_bytes},
                          {"peak_flop_per_s", to_json(entry.peak_flop_per_s)},
                          {"efficiency", to_json(entry.efficiency)}});
  }
  return {{"arithmetic", arithmetic},
          {"memory_bandwidth_bytes_per_s", to_json(roofline.memory_bandwidth_bytes_per_s)},
          {"exponentials_per_s", to_json(roofline.exponentials_per_s)},
          {"launch_s", to_json(roofline.launch_s)}};
}

machine::Roofline read_roofline(const ObjectReader &object) {
  machine::Roofline roofline;
  for (const ObjectReader &entry : object.objects("arithmetic")) {
    machine::Arithmetic arithmetic;
    arithmetic.dtype = entry.text("dtype");
    arithmetic.element_bytes = entry.integer("element_bytes", 1, 8);
    arithmetic.peak_flop_per_s = read_number(entry, "peak_flop_per_s");
    arithmetic.efficiency = read_number(entry, "efficiency");
    entry.finish();
    roofline.arithmetic.push_back(std::move(arithmetic));
  }
  roofline.memory_bandwidth_bytes_per_s = read_number(object, "memory_bandwidth_bytes_per_s");
  roofline.exponentials_per_s = read_number(object, "exponentials_per_s");
  roofline.launch_s = read_number(object, "launch_s");
  object.finish();
  return roofline;
}

Json links_to_json(const std::vector<machine::Link> &links) {
  Json array = Json::array();
  for (const machine::Link &link : links) {
    array.push_back({{"level", machine::name(link.level)},
                     {"group_devices", link.group_devices},
                     {"latency_s", to_json(link.latency_s)},
                     {"per_message_overhead_s", to_json(link.per_message_overhead_s)},
                     {"bandwidth_bytes_per_s", to_json(link.bandwidth_bytes_per_s)},
                     {"sharing", to_json(link.sharing)}});
    Json &entry = array.back();
    if (link.devices_per_card > 0) {
      entry["devices_per_card"] = link.devices_per_card;
    }
    if (link.duplex != machine::Duplex::full) {
      entry["duplex"] = machine::name(link.duplex);
    }
    if (link.oversubscription) {
      entry["oversubscription"] = to_json(*link.oversubscription);
    }
    if (link.rendezvous) {
      entry["rendezvous"] = {{"threshold_bytes", link.rendezvous->threshold_bytes},
                             {"handshake_s", to_json(link.rendezvous->handshake_s)}};
    }
    if (link.receive_buffer_bytes > 0) {
      entry["receive_buffer_bytes"] = link.receive_buffer_bytes;
    }
    for (const machine::MessageTime &measured : link.message_times) {
      entry["message_times"].push_back({{"bytes", measured.bytes}, {"time_s", measured.time_s}});
    }
  }
  return array;
}

std::vector<machine::Link> read_links(const ObjectReader &parent) {
  std::vector<machine::Link> links;
  for (const ObjectReader &entry : parent.objects("links")) {
    machine::Link link;
    link.level = machine::parse_level(entry.text("level"));
    link.group_devices = entry.integer("group_devices", 0, most);
    link.latency_s = read_number(entry, "latency_s");
    link.per_message_overhead_s = read_number(entry, "per_message_overhead_s");
    link.bandwidth_bytes_per_s = read_number(entry, "bandwidth_bytes_per_s");
    link.sharing = read_number(entry, "sharing");
    if (entry.has("devices_per_card")) {
      link.devices_per_card = entry.integer("devices_per_card", 1, most);
    }
    link.duplex = machine::parse_duplex(entry.text_or("duplex", machine::name(link.duplex)));
    link.oversubscription = read_number_if_there(entry, "oversubscription");
    if (entry.has("rendezvous")) {
      const ObjectReader rendezvous = entry.object("rendezvous");
      link.rendezvous = {rendezvous.integer("threshold_bytes", 0, most), read_number(rendezvous, "handshake_s")};
      rendezvous.finish();
    }
    if (entry.has("receive_buffer_bytes")) {
      link.receive_buffer_bytes = entry.integer("receive_buffer_bytes", 1, most);
    }
    if (entry.has("message_times")) {
      for (const ObjectReader &measured : entry.objects("message_times")) {
        link.message_times.push_back({measured.number("bytes", 1.0), measured.number("time_s", 0.0)});
        measured.finish();
      }
    }
    entry.finish();
    links.push_back(std::move(link));
  }
  return links;
}

Json failures_to_json(const machine::Failures &failures) {
  Json object = {{"device_mtbf_s", to_json(failures.device_mtbf_s)},
                 {"detection_s", to_json(failures.detection_s)},
                 {"restart_s", to_json(failures.restart_s)}};
  if (failures.checkpoint_bandwidth_bytes_per_s) {
    object["checkpoint_bandwidth_bytes_per_s"] = to_json(*failures.checkpoint_bandwidth_bytes_per_s);
  }
  if (failures.storage_bandwidth_bytes_per_s) {
    object["storage_bandwidth_bytes_per_s"] = to_json(*failures.storage_bandwidth_bytes_per_s);
  }
  return object;
}

machine::Failures read_failures(const ObjectReader &object) {
  machine::Failures failures;
  failures.device_mtbf_s = read_number(object, "device_mtbf_s");
  failures.detection_s = read_number(object, "detection_s");
  failures.restart_s = read_number(object, "restart_s");
  failures.checkpoint_bandwidth_bytes_per_s = read_number_if_there(object, "checkpoint_bandwidth_bytes_per_s");
  failures.storage_bandwidth_bytes_per_s = read_number_if_there(object, "storage_bandwidth_bytes_per_s");
  object.finish();
  return failures;
}

Json messages_to_json(const Machine &machine) {
  Json samples = Json::array();
  for (const machine::MessageSample &sample : machine.messages) {
    samples.push_back({{"pattern", sample.pattern},
                       {"ranks", sample.ranks},
                       {"messages", sample.messages},
                       {"message_bytes", sample.message_bytes},
                       {"time_s", sample.time_s},
                       {"samples_s", sample.samples_s}});
  }
  return {{"fit_max_relative_residual", machine.message_fit_max_relative_residual}, {"samples", samples}};
}

void read_messages(const ObjectReader &object, Machine &machine) {
  machine.message_fit_max_relative_residual = object.number("fit_max_relative_residual", 0.0);
  for (const ObjectReader &entry : object.objects("samples")) {
    machine::MessageSample sample;
    sample.pattern = entry.text("pattern");
    sample.ranks = entry.integer("ranks", 1, most);
    sample.messages = entry.integer("messages", 1, most);
    sample.message_bytes = entry.integer("message_bytes", 0, most);
    sample.time_s = entry.number("time_s", 0.0);
    sample.samples_s = entry.numbers("samples_s");
    entry.finish();
    machine.messages.push_back(std::move(sample));
  }
  object.finish();
}

Json hold_out_to_json(const Machine &machine) {
  Json points = Json::array();
  for (const machine::HoldOut &point : machine.hold_out) {
    points.push_back({{"ring_size", point.ring_size},
                      {"tokens", point.tokens},
                      {"query_heads", point.query_heads},
                      {"kv_heads", point.kv_heads},
                      {"head_dim", point.head_dim},
                      {"mask", point.mask},
                      {"placement", point.placement},
                      {"pass", point.pass},
                      {"shares_cores", point.shares_cores},
                      {"measured_s", point.measured_s},
                      {"samples_s", point.samples_s},
                      {"predicted_s", point.predicted_s},
                      {"relative_error", point.relative_error}});
  }
  return {{"median_relative_error", machine.hold_out_median_relative_error},
          {"max_relative_error", machine.hold_out_max_relative_error},
          {"points", points}};
}

void read_hold_out(const ObjectReader &object, Machine &machine) {
  machine.hold_out_median_relative_error = object.number("median_relative_error", 0.0);
  machine.hold_out_max_relative_error = object.number("max_relative_error", 0.0);
  for (const ObjectReader &entry : object.objects("points")) {
    machine::HoldOut point;
    point.ring_size = entry.integer("ring_size", 1, most);
    point.tokens = entry.integer("tokens", 1, most);
    point.query_heads = entry.integer("query_heads", 1, most);
    point.kv_heads = entry.integer("kv_heads", 1, most);
    point.head_dim = entry.integer("head_dim", 1, 1024);
    point.mask = entry.text("mask");
    point.placement = entry.text("placement");
    point.pass = entry.has("pass") ? entry.text("pass") : "forward";
    point.shares_cores = entry.boolean("shares_cores");
    point.measured_s = entry.number("measured_s", 0.0);
    point.samples_s = entry.numbers("samples_s");
    point.predicted_s = entry.number("predicted_s", 0.0);
    point.relative_error = entry.number("relative_error");
    entry.finish();
    machine.hold_out.push_back(std::move(point));
  }
  object.finish();
}

void read_terms(const ObjectReader &object, Machine &machine) {
  const ObjectReader merge = object.object("merge");
  machine.merge.fused = merge.boolean("fused");
  machine.merge.fixed_s = read_number(merge, "fixed_s");
  machine.merge.per_element_s = read_number(merge, "per_element_s");
  machine.merge.in_tile_per_element_s = read_number_if_there(merge, "in_tile_per_element_s");
  merge.finish();
  machine.step_fixed_s = read_number(object, "step_fixed_s");
  machine.links = read_links(object);
  if (object.has("core_sharing")) {
    const ObjectReader sharing = object.object("core_sharing");
    machine.core_sharing.cores = sharing.integer("cores", 1, most);
    machine.core_sharing.neighbour_factor = read_number(sharing, "neighbour_factor");
    machine.core_sharing.idle_share = read_number(sharing, "idle_share");
    for (const ObjectReader &entry : sharing.objects("crowding")) {
      machine.core_sharing.crowding.push_back({entry.integer("ranks", 1, most), read_number(entry, "factor")});
      entry.finish();
    }
    machine.core_sharing.extra_step_s = read_number(sharing, "extra_step_s");
    if (sharing.has("spin_share")) {
      machine.core_sharing.spin_share = read_number(sharing, "spin_share");
    }
    sharing.finish();
  }
  const ObjectReader overlap = object.object("overlap");
  machine.overlap.hidden_fraction = read_number(overlap, "hidden_fraction");
  machine.overlap.samples = overlap.numbers("samples");
  overlap.finish();
  const ObjectReader jitter = object.object("jitter");
  machine.jitter.relative_standard_deviation = read_number(jitter, "relative_standard_deviation");
  machine.jitter.relative_quantiles = jitter.numbers("relative_quantiles");
  jitter.finish();
  const ObjectReader footprint = object.object("footprint");
  machine.footprint.key_tile_tokens = footprint.integer("key_tile_tokens", 1, most);
  machine.footprint.workspace_bytes = footprint.integer("workspace_bytes", 0, most);
  footprint.finish();
}

} // namespace

Json machine_to_json(const Machine &machine) {
  Json document = {{"schema", "ringscale.machine"},
                   {"schema_version", machine_schema_version},
                   {"name", machine.name},
                   {"kind", machine.kind},
                   {"description", machine.description},
                   {"device", device_to_json(machine.device)}};
  if (!machine.tiles.samples.empty()) {
    document["tiles"] = tiles_to_json(machine.tiles);
  }
  if (!machine.roofline.arithmetic.empty()) {
    document["roofline"] = roofline_to_json(machine.roofline);
  }
  document["merge"] = {{"fused", machine.merge.fused},
                       {"fixed_s", to_json(machine.merge.fixed_s)},
                       {"per_element_s", to_json(machine.merge.per_element_s)}};
  if (machine.merge.in_tile_per_element_s) {
    document["merge"]["in_tile_per_element_s"] = to_json(*machine.merge.in_tile_per_element_s);
  }
  document["step_fixed_s"] = to_json(machine.step_fixed_s);
  document["links"] = links_to_json(machine.links);
  if (machine.core_sharing.cores > 0) {
    Json crowding = Json::array();
    for (const machine::Crowding &entry : machine.core_sharing.crowding) {
      crowding.push_back({{"ranks", entry.ranks}, {"factor", to_json(entry.factor)}});
    }
    document["core_sharing"] = {{"cores", machine.core_sharing.cores},
                                {"neighbour_factor", to_json(machine.core_sharing.neighbour_factor)},
                                {"idle_share", to_json(machine.core_sharing.idle_share)},
                                {"crowding", crowding},
                                {"extra_step_s", to_json(machine.core_sharing.extra_step_s)},
                                {"spin_share", to_json(machine.core_sharing.spin_share)}};
  }
  document["overlap"] = {{"hidden_fraction", to_json(machine.overlap.hidden_fraction)},
                         {"samples", machine.overlap.samples}};
  document["jitter"] = {{"relative_standard_deviation", to_json(machine.jitter.relative_standard_deviation)},
                        {"relative_quantiles", machine.jitter.relative_quantiles}};
  document["footprint"] = {{"key_tile_tokens", machine.footprint.key_tile_tokens},
                           {"workspace_bytes", machine.footprint.workspace_bytes}};
  if (machine.failures) {
    document["failures"] = failures_to_json(*machine.failures);
  }
  document["messages"] = messages_to_json(machine);
  document["hold_out"] = hold_out_to_json(machine);
  return document;
}

Machine machine_from_json(const Json &document, const std::string &source) {
  const ObjectReader object(document, source);
  if (object.text("schema") != "ringscale.machine") {
    object.refuse("schema", "is '" + object.text("schema") + "'; a machine file has 'ringscale.machine'");
  }
  const std::int64_t version = object.integer("schema_version");
  if (version != machine_schema_version) {
    object.refuse("schema_version", "is " + std::to_string(version) + "; this program reads version " +
                                        std::to_string(machine_schema_version) + ", run calibrate again");
  }
  Machine machine;
  machine.name = object.text("name");
  machine.kind = object.text("kind");
  machine.description = object.text_or("description", "");
  const ObjectReader device = object.object("device");
  machine.device.memory_bytes = read_number(device, "memory_bytes");
  machine.device.peak_flop_per_s = read_number(device, "peak_flop_per_s");
  device.finish();
  if (object.has("tiles")) {
    machine.tiles = read_tiles(object.object("tiles"));
  }
  if (object.has("roofline")) {
    machine.roofline = read_roofline(object.object("roofline"));
  }
  read_terms(object, machine);
  if (object.has("failures")) {
    machine.failures = read_failures(object.object("failures"));
  }
  if (object.has("messages")) {
    read_messages(object.object("messages"), machine);
  }
  if (object.has("hold_out")) {
    read_hold_out(object.object("hold_out"), machine);
  }
  object.allow("provenance");
  object.finish();
  machine::validate(machine, source);
  return machine;
}

Machine read_machine_file(const std::filesystem::path &path) {
  const Json document = read_json_file(path);
  return machine_from_json(document, path.string());
}

} // namespace ringscale::report
