// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "problem/attention_problem.hpp"

namespace ringscale::machine {

/// A number and where it comes from: kind is measured, published or analytic; source says by what or from where.
struct Number {
  double value = 0.0;
  std::string kind = "measured";
  std::string source;
};

/// One measured tile: the streamed kernel on `query_tokens` x `key_tokens` of one batch entry. mask none computes every
/// pair; mask causal is the block on the diagonal (equally many queries and keys, row i admits i + 1 keys).
struct TileSample {
  std::int64_t query_tokens = 0;
  std::int64_t key_tokens = 0;
  std::int64_t head_dim = 64;
  problem::Mask mask = problem::Mask::none;
  double time_s = 0.0;           ///< median (or fastest) of the samples, raised where needed so that it grows with size
  std::vector<double> samples_s; ///< raw
};

/// So many equal tiles on buffers of their own take turns where a sample says "in turn".
inline constexpr int reuse_tiles = 4;

/// A square tile computed over and over, and in turn with equal ones, whose data drive its own out of the caches.
struct ReuseSample {
  std::int64_t tokens = 0;
  problem::Mask mask = problem::Mask::none;
  double alone_s = 0.0; ///< of alone_samples_s, as time_s of tiles
  double in_turn_s = 0.0;
  std::vector<double> alone_samples_s;
  std::vector<double> in_turn_samples_s;
};

/// Measured tile times. The samples of one head_dim with mask none form a full grid of query x key tokens.
struct TileTable {
  std::int64_t query_heads = 0; ///< of all samples; time is proportional to batch x query_heads
  std::int64_t kv_heads = 0;
  std::vector<TileSample> samples;
  std::vector<TileSample> backward_samples; ///< of the backward pass, the same kind of grid; empty: not measured
  std::vector<ReuseSample> reuse;           ///< of the first head_dim; empty: not measured, and times are as alone
  std::vector<ReuseSample> backward_reuse;
  /// What backward tiles of a ring take over those measured alone, fitted on whole backward rings.
  Number backward_ring_factor{1.0, "analytic", "no backward rings were measured"};
};

/// Arithmetic of one element type on a device that cannot be calibrated here.
struct Arithmetic {
  std::string dtype; ///< "float32", "float16", "bfloat16"
  std::int64_t element_bytes = 4;
  Number peak_flop_per_s;
  Number efficiency; ///< share of the peak that a good attention kernel reaches on long blocks
};

/// tile time = launch + max(FLOPs / (peak efficiency), bytes / memory bandwidth, exponentials / rate).
struct Roofline {
  std::vector<Arithmetic> arithmetic; ///< the first one is the default
  Number memory_bandwidth_bytes_per_s;
  Number exponentials_per_s;
  Number launch_s;
};

/// Joining a block's partial with the one kept: fixed + per_element x batch x queries x heads x (head_dim + 1).
/// `fused` says that the kernel does it and the tile times hold it already; it is then shown but not added.
struct MergeCost {
  bool fused = false;
  Number fixed_s;
  Number per_element_s;
  std::optional<Number> in_tile_per_element_s; ///< what it takes within a fused tile; none: as a separate merge
};

enum class Level { core, node, rack, fabric };

/// Messages longer than `threshold_bytes` wait until sender and receiver have shaken hands.
struct Rendezvous {
  std::int64_t threshold_bytes = 0;
  Number handshake_s;
};

enum class Duplex { full, half };

/// Measured on a link that nothing else used.
struct MessageTime {
  double bytes = 0.0;
  double time_s = 0.0;
};

/// What connects devices of one group: time of a message = latency + per_message_overhead + handshake and credits +
/// bytes / bandwidth x crowd. links.hpp has the formula; without the optional fields, crowd is
/// 1 + sharing x (flows - 1), flows being the ring's concurrent hops in the group. Where message_times are given, they
/// stand for latency + overhead + bytes / bandwidth.
struct Link {
  Level level = Level::node;
  std::int64_t group_devices = 0; ///< devices that reach each other at this level or a nearer one; 0: all
  Number latency_s;
  Number per_message_overhead_s;
  Number bandwidth_bytes_per_s;
  Number sharing;                         ///< 0: every flow has its own bandwidth; 1: the flows of a group divide one
  std::int64_t devices_per_card = 0;      ///< that share one network card of `bandwidth`; 0: not said, a card each
  Duplex duplex = Duplex::full;           ///< half: both directions of a card share its bandwidth
  std::optional<Number> oversubscription; ///< of the tree above a nearer group: bandwidth below / bandwidth above
  std::optional<Rendezvous> rendezvous;
  std::int64_t receive_buffer_bytes = 0;  ///< a message goes in pieces of this size, each asked for; 0: no limit
  std::vector<MessageTime> message_times; ///< by bytes, rising; empty: the line above
};

/// Measured at one number of ranks that exceeds the cores.
struct Crowding {
  std::int64_t ranks = 0;
  Number factor; ///< on compute time, beyond the plain division of cores: switches, cold caches, uneven turns
};

/// Ranks of one node on its cores. Two and more ranks slow each other down through memory, clock and the units that
/// threads of one core share: compute time is multiplied by neighbour_factor (all cores busy; in proportion with fewer,
/// a waiting rank counting as spin_share of a computing one). With R ranks on fewer cores, of which the equivalent of
/// A compute, it is further multiplied by max(1, ceil(R / cores) (A + idle_share (R - A)) / R) x crowding(R): the
/// fullest core decides, as ranks do not change cores within a step. Every step then takes extra_step_s longer.
struct CoreSharing {
  std::int64_t cores = 0; ///< 0: every device has a processor of its own
  Number neighbour_factor;
  Number idle_share;              ///< share of a core that a waiting rank takes: 0 sleeps, 1 spins
  std::vector<Crowding> crowding; ///< by ranks, rising; linear between, the last one beyond; empty: 1
  Number extra_step_s;            ///< waiting for one's turn, per step
  /// How much of a computing neighbour a rank is that waits for a message on a core of its own: 0 not at all.
  Number spin_share{0.0, "analytic", "not measured"};
};

/// Share of a hop that runs behind compute: 1 hides all, 0 none; below 0 a hop beside computing costs more than alone,
/// as it does where the computing cores copy it and lose what their caches held.
struct Overlap {
  Number hidden_fraction;
  std::vector<double> samples; ///< raw hidden fractions
};

/// Spread of repeated equal steps on one device.
struct Jitter {
  Number relative_standard_deviation;
  std::vector<double> relative_quantiles; ///< 0, 5, ..., 100 % of time / median
};

/// How devices fail and what a restart takes; failures of a device are exponential and independent of others'.
struct Failures {
  Number device_mtbf_s;                                   ///< mean time between failures of one device
  Number detection_s;                                     ///< from a failure until the others stop waiting
  Number restart_s;                                       ///< from there to working again, the checkpoint read
  std::optional<Number> checkpoint_bandwidth_bytes_per_s; ///< of one device to storage
  std::optional<Number> storage_bandwidth_bytes_per_s;    ///< of all devices together
};

struct DeviceNumbers {
  Number memory_bytes;
  Number peak_flop_per_s;
};

/// What the kernel adds to a device's memory and to its messages.
struct KernelFootprint {
  std::int64_t key_tile_tokens = 1; ///< packed blocks are padded to whole tiles of keys
  std::int64_t workspace_bytes = 0;
};

/// Raw message times kept beside the fit, one way. Pattern ping_pong: between two ranks, in turn, whole or in
/// `messages` equal parts; shift: every one of `ranks` ranks sends to the next at once, as in a hop.
struct MessageSample {
  std::string pattern = "ping_pong";
  std::int64_t ranks = 2;
  std::int64_t messages = 1;
  std::int64_t message_bytes = 0;
  double time_s = 0.0;
  std::vector<double> samples_s;
};

/// One real ring that was predicted from fits in which it took no part.
struct HoldOut {
  std::int64_t ring_size = 0;
  std::int64_t tokens = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::string mask;
  std::string placement;
  std::string pass = "forward";
  bool shares_cores = false; ///< more ranks than cores
  double measured_s = 0.0;
  std::vector<double> samples_s;
  double predicted_s = 0.0;
  double relative_error = 0.0; ///< predicted / measured - 1
};

struct Machine {
  std::string name;
  std::string kind = "measured"; ///< or "published"
  std::string description;
  DeviceNumbers device;
  TileTable tiles;   ///< empty for a published device
  Roofline roofline; ///< empty for a calibrated one
  MergeCost merge;
  Number step_fixed_s;     ///< per step beside tile, merge and hop
  std::vector<Link> links; ///< near to far; the last one has group_devices 0
  CoreSharing core_sharing;
  Overlap overlap;
  Jitter jitter;
  KernelFootprint footprint;
  std::optional<Failures> failures;
  std::vector<MessageSample> messages;
  double message_fit_max_relative_residual = 0.0;
  std::vector<HoldOut> hold_out;
  double hold_out_median_relative_error = 0.0; ///< of |relative_error|
  double hold_out_max_relative_error = 0.0;
};

/// Throws InvalidInput naming the field: an empty name, neither tiles nor roofline or both, a table that is no grid,
/// a time or bandwidth that is not positive, a share outside [0, 1], no link, a number without its source, a measured
/// machine without tiles.
/// `where` opens the message (a file name).
void validate(const Machine &machine, const std::string &where);

std::string name(Level level);
Level parse_level(const std::string &word);
std::string name(Duplex duplex);
Duplex parse_duplex(const std::string &word);

} // namespace ringscale::machine
