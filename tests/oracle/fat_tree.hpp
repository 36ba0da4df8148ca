// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::oracle_tests {

inline std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

/// A fat tree of switches: `down[l]` children and `up[l]` parents of a switch (or host, l = 0 for parents) of level l.
struct FatTree {
  std::vector<std::int64_t> down;
  std::vector<std::int64_t> up;
  double bandwidth_bytes_per_s = 0.0; ///< of every cable, each way
  double latency_s = 0.0;             ///< of every cable

  std::int64_t hosts() const {
    std::int64_t product = 1;
    for (const std::int64_t children : down) {
      product *= children;
    }
    return product;
  }
};

inline constexpr const char *platform_head = "<?xml version='1.0'?>\n<!DOCTYPE platform SYSTEM "
                                             "\"https://simgrid.org/simgrid.dtd\">\n<platform version=\"4.1\">\n";

/// "16,16,4".
inline std::string joined(const std::vector<std::int64_t> &numbers) {
  std::ostringstream text;
  for (std::size_t index = 0; index < numbers.size(); ++index) {
    text << (index == 0 ? "" : ",") << numbers[index];
  }
  return text.str();
}

/// SimGrid's own fat tree with its destination-modulo-k routing.
inline std::string platform_of(const FatTree &tree) {
  std::ostringstream text;
  text << platform_head << "<cluster id=\"tree\" prefix=\"h\" suffix=\"\" radical=\"0-" << tree.hosts() - 1
       << "\" speed=\"1e9f\" bw=\"" << exact(tree.bandwidth_bytes_per_s) << "Bps\" lat=\"" << exact(tree.latency_s)
       << "s\" topology=\"FAT_TREE\" topo_parameters=\"" << tree.down.size() << ";" << joined(tree.down) << ";"
       << joined(tree.up) << ";" << joined(std::vector<std::int64_t>(tree.down.size(), 1)) << "\"/>\n</platform>\n";
  return text.str();
}

/// What a machine file says of that tree: two cables within a switch, four by way of the next level, and so on. A ring
/// in the order of the hosts has one flow out of every switch, so nothing is shared.
inline machine::Machine machine_of(const FatTree &tree, double pair_s) {
  machine::Machine machine = simulator_tests::simple_machine(pair_s, 0.0, tree.bandwidth_bytes_per_s);
  const machine::Link cable = machine.links.front();
  machine.links.clear();
  const machine::Level levels[] = {machine::Level::node, machine::Level::rack, machine::Level::fabric};
  std::int64_t group = 1;
  for (std::size_t level = 0; level < tree.down.size(); ++level) {
    machine::Link link = cable;
    group *= tree.down[level];
    const bool last = level + 1 == tree.down.size();
    link.level = levels[last ? 2 : level];
    link.group_devices = last ? 0 : group;
    link.latency_s.value = 2.0 * static_cast<double>(level + 1) * tree.latency_s;
    machine.links.push_back(link);
  }
  return machine;
}

/// Nodes whose devices reach each other by cables of their own and share one card to a switch that joins all nodes:
/// routes of a double ring (device to the next one of its node, device to its like in the next node), nothing else.
inline std::string platform_of_nodes(std::int64_t nodes, std::int64_t node_devices, double inside_bytes_per_s,
                                     double inside_latency_s, double card_bytes_per_s, double card_latency_s) {
  std::ostringstream hosts;
  std::ostringstream links;
  std::ostringstream routes;
  const auto link = [&](const char *name, std::int64_t number, double bandwidth, double latency) {
    links << "<link id=\"" << name << number << "\" bandwidth=\"" << exact(bandwidth) << "Bps\" latency=\""
          << exact(latency) << "s\"/>\n";
  };
  const auto route = [&](std::int64_t from, std::int64_t to, const char *way, std::int64_t first, std::int64_t second) {
    routes << "<route src=\"h" << from << "\" dst=\"h" << to << "\" symmetrical=\"NO\"><link_ctn id=\"" << way << "out"
           << first << "\"/><link_ctn id=\"" << way << "in" << second << "\"/></route>\n";
  };
  for (std::int64_t node = 0; node < nodes; ++node) {
    link("card_out", node, card_bytes_per_s, card_latency_s / 2);
    link("card_in", node, card_bytes_per_s, card_latency_s / 2);
    for (std::int64_t device = 0; device < node_devices; ++device) {
      const std::int64_t rank = node * node_devices + device;
      hosts << "<host id=\"h" << rank << "\" speed=\"1e9f\"/>\n";
      link("device_out", rank, inside_bytes_per_s, inside_latency_s / 2);
      link("device_in", rank, inside_bytes_per_s, inside_latency_s / 2);
      const std::int64_t neighbour = node * node_devices + (device + 1) % node_devices;
      const std::int64_t next_node = (node + 1) % nodes;
      if (node_devices > 1) {
        route(rank, neighbour, "device_", rank, neighbour);
      }
      if (nodes > 1) {
        route(rank, next_node * node_devices + device, "card_", node, next_node);
      }
    }
  }
  return platform_head + std::string("<zone id=\"nodes\" routing=\"Full\">\n") + hosts.str() + links.str() +
         routes.str() + "</zone>\n</platform>\n";
}

} // namespace ringscale::oracle_tests
