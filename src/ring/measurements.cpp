// SPDX-License-Identifier: Apache-2.0
#include "ring/measurements.hpp"

#include <algorithm>
#include <memory>

#include "memory/ledger.hpp"
#include "problem/invalid_input.hpp"
#include "ring/backward_tile_bench.hpp"
#include "ring/mpi_transport.hpp"
#include "ring/ring_rank.hpp"
#include "ring/sampling.hpp"
#include "ring/tile_bench.hpp"

namespace ringscale::ring {

namespace {

/// Samples of `compute` on `benches` equal ones in turn (0: so many that no cache holds them).
template <class Bench, class Compute>
std::vector<double> sample_in_turn(const TileSetting &setting, Repetitions repetitions, std::size_t benches,
                                   const Compute &compute) {
  std::vector<std::unique_ptr<Bench>> all;
  all.push_back(std::make_unique<Bench>(setting));
  const std::size_t wanted = benches > 0 ? benches : benches_in_turn(all.front()->bytes());
  while (all.size() < wanted) {
    all.push_back(std::make_unique<Bench>(setting));
  }
  repetitions.warmup = std::max(repetitions.warmup, static_cast<int>(wanted));
  std::size_t turn = 0;
  return sample_local(repetitions, [&] { compute(*all[turn++ % all.size()]); });
}

std::size_t bench_count(int tiles) {
  if (tiles < 1) {
    throw problem::InvalidInput("at least one tile takes a turn");
  }
  return static_cast<std::size_t>(tiles);
}

} // namespace

std::vector<double> measure_tile(const TileSetting &setting, const Repetitions &repetitions, int tiles) {
  return sample_in_turn<TileBench>(setting, repetitions, bench_count(tiles),
                                   [](const TileBench &bench) { bench.compute_in_slices([] {}); });
}

std::vector<double> measure_merge(const TileSetting &setting, const Repetitions &repetitions) {
  TileSetting one_key = setting;
  one_key.key_tokens = 1;
  return sample_in_turn<TileBench>(one_key, repetitions, 0, [](const TileBench &bench) { bench.merge(); });
}

std::vector<double> measure_backward_tile(const TileSetting &setting, const Repetitions &repetitions, int tiles) {
  // Two for each: even a ring of one rank writes inputs before its pass, and finds little of them in the cache.
  return sample_in_turn<BackwardTileBench>(setting, repetitions, 2 * bench_count(tiles),
                                           [](const BackwardTileBench &bench) { bench.compute(); });
}

std::vector<double> measure_pack(const TileSetting &setting, const Repetitions &repetitions) {
  TileSetting one_query = setting;
  one_query.query_tokens = 1;
  const TileBench bench(one_query);
  return sample_local(repetitions, [&] { bench.pack(); });
}

std::vector<double> measure_step_fixed(Communicator &communicator, const Repetitions &repetitions) {
  RingOptions options;
  options.problem.ring_size = communicator.size();
  options.problem.attention.tokens = communicator.size();
  options.problem.attention.query_heads = 1;
  options.problem.attention.kv_heads = 1;
  options.problem.attention.head_dim = 8;
  memory::Ledger ledger;
  MpiTransport transport(communicator);
  RingRank rank(options, communicator.rank(), transport, ledger);
  std::vector<double> samples;
  for (int call = -repetitions.warmup; call < repetitions.samples; ++call) {
    rank.begin(false);
    rank.load();
    communicator.barrier("before a ring of one-token blocks");
    const double slowest_s = communicator.max(time_once([&] { rank.run(); }));
    if (call >= 0) {
      samples.push_back(slowest_s / static_cast<double>(step_count(options.problem)));
    }
  }
  return samples;
}

std::vector<double> measure_ping_pong(Communicator &communicator, std::int64_t bytes, int messages,
                                      const Repetitions &repetitions) {
  if (communicator.size() < 2 || bytes < 1 || messages < 1) {
    throw problem::InvalidInput("a ping-pong needs two ranks, at least one byte and one message");
  }
  const std::int64_t part = (bytes + messages - 1) / messages;
  const Kokkos::View<std::byte *, kernels::MemorySpace> outgoing("ringscale::ping_pong::outgoing",
                                                                 static_cast<std::size_t>(part * messages));
  const Kokkos::View<std::byte *, kernels::MemorySpace> incoming("ringscale::ping_pong::incoming",
                                                                 static_cast<std::size_t>(part * messages));
  MpiTransport transport(communicator);
  const int rank = communicator.rank();
  const int peer = 1 - rank;
  const Site site{"ping-pong", rank, -1, peer, peer};
  const auto receive = [&] {
    for (int message = 0; message < messages; ++message) {
      transport.post_receive(peer, incoming.data() + message * part, part, MessageTag::ping, site);
    }
  };
  const auto send = [&] {
    for (int message = 0; message < messages; ++message) {
      transport.post_send(peer, outgoing.data() + message * part, part, MessageTag::ping, site);
    }
  };
  const auto round_trip = [&] {
    receive();
    if (rank == 0) {
      send(); // the answer's receive is posted already
      transport.wait_all(site);
    } else {
      transport.wait_all(site);
      send();
      transport.wait_all(site);
    }
  };
  std::vector<double> samples;
  communicator.barrier("before a ping-pong");
  if (rank < 2) {
    // Enough round trips a sample to stand clear of the clock; the same number on both ranks whatever they measure.
    const int trips = bytes <= 65536 ? 20 : bytes <= 1048576 ? 4 : 1;
    for (int call = -repetitions.warmup; call < repetitions.samples; ++call) {
      const double begin_s = now_s();
      for (int trip = 0; trip < trips; ++trip) {
        round_trip();
      }
      if (call >= 0) {
        samples.push_back((now_s() - begin_s) / (2.0 * trips));
      }
    }
  }
  communicator.sleeping_barrier();
  samples.resize(static_cast<std::size_t>(repetitions.samples));
  const std::vector<double> all = communicator.all_gather(samples);
  return {all.begin(), all.begin() + repetitions.samples};
}

} // namespace ringscale::ring
