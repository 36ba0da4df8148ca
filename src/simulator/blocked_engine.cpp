// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <barrier>
#include <limits>
#include <numeric>
#include <thread>

#include "simulator/engines.hpp"
#include "simulator/process_group.hpp"
#include "simulator/strip_costs.hpp"

namespace ringscale::simulator {

namespace {

static_assert(smallest_blocked_ring >= Strips::smallest_ring);

/// Ranks to a strip. Neighbours differ by less than two of the longest steps (docs/engines.md), so that a strip's times
/// fit 32 bits with room for a turn; wider ones leave the caches or threads without work. Many threads on a small ring
/// get strips of the narrowest width, and some of them none.
std::int64_t wanted_width(std::int64_t ring_size, const TickScale &scale, std::int64_t workers) {
  constexpr std::int64_t most_ranks_in_cache = 1024;
  const std::int64_t fits = std::numeric_limits<std::int32_t>::max() / (2 * scale.longest_step + 1) * 3 / 4;
  const std::int64_t shared = ring_size / (2 * lane_count * workers);
  return std::max(Strips::narrowest_width, std::min({most_ranks_in_cache, fits, shared}));
}

/// One turn advances all ranks by as many steps as a strip has ghosts on either side: every bundle of strips by itself,
/// from ghosts that their neighbours' ranks fill between two turns. Every time is computed from the same costs and
/// neighbours whichever strip does it, so the ticks do not depend on strips, threads or processes.
class StripRing {
public:
  /// `workers`: threads of all processes.
  StripRing(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, int threads,
            std::int64_t workers, ProcessGroup *processes)
      : options_(options), scale_(scale), threads_(threads), processes_(processes), hops_(costs.steps() - 1),
        strips_(costs.ring_size(), wanted_width(costs.ring_size(), scale, workers)),
        first_bundle_(first_bundle_of(process_rank())), last_bundle_(first_bundle_of(process_rank() + 1)),
        costs_(costs, options, scale, strips_, first_bundle_, last_bundle_),
        offsets_(static_cast<std::size_t>(own_strips()), 0) {
    for (std::vector<std::int64_t> &edges : edges_) {
      edges.assign(static_cast<std::size_t>((own_strips() + 2) * 2 * strips_.ghost()), 0);
    }
    for (std::int64_t bundle = first_bundle_; bundle < last_bundle_; ++bundle) {
      times_.emplace_back(strips_.cells());
    }
  }

  /// All ranks' times before the last step; empty where 32 bits do not suffice.
  std::vector<std::int64_t> run() {
    std::barrier<> together(threads_);
    const auto work = [&](int thread) {
      ComposedStep room(strips_.cells());
      share(together, thread, [&](std::int64_t bundle) { costs_.fill_bundle(bundle); });
      int turn = 0;
      for (std::int64_t step = 0; step < hops_; step += strips_.ghost(), ++turn) {
        const std::int64_t count = std::min(strips_.ghost(), hops_ - step);
        share(together, thread, [&](std::int64_t bundle) { advance(bundle, step, count, turn % 2, room); });
        if (thread == 0) {
          exchange_ends((turn + 1) % 2);
        }
      }
    };
    std::vector<std::jthread> helpers;
    for (int thread = 1; thread < threads_; ++thread) {
      helpers.emplace_back(work, thread);
    }
    work(0);
    helpers.clear();
    return any_too_far_apart() ? std::vector<std::int64_t>{} : all_times();
  }

private:
  int process_count() const { return processes_ == nullptr ? 1 : processes_->size(); }
  int process_rank() const { return processes_ == nullptr ? 0 : processes_->rank(); }
  std::int64_t first_bundle_of(int process) const { return strips_.bundles() * process / process_count(); }
  std::int64_t own_strips() const { return (last_bundle_ - first_bundle_) * lane_count; }
  std::size_t own_index(std::int64_t strip) const {
    return static_cast<std::size_t>(strip - first_bundle_ * lane_count);
  }

  /// Gives bundles to threads as they come, since other programs may slow a core; returns when all are done.
  template <class Function> void share(std::barrier<> &together, int thread, const Function &function) {
    together.arrive_and_wait(); // after thread 0 has exchanged ends
    for (std::int64_t bundle = next_bundle_++; bundle < last_bundle_ - first_bundle_; bundle = next_bundle_++) {
      function(first_bundle_ + bundle);
    }
    together.arrive_and_wait();
    if (thread == 0) {
      next_bundle_ = 0;
    }
  }

  /// Absolute times that a strip gives to the strip before it (side 0) and after it (side 1). Strips one before and one
  /// behind this process's have room too.
  std::span<std::int64_t> edge(int parity, std::int64_t strip, int side) {
    const std::int64_t index = (strip - first_bundle_ * lane_count + 1) * 2 + side;
    return {edges_[parity].data() + index * strips_.ghost(), static_cast<std::size_t>(strips_.ghost())};
  }

  /// Ends of the ring, or of this process's part of it.
  void exchange_ends(int parity) {
    const std::int64_t first = first_bundle_ * lane_count;
    const std::int64_t last = last_bundle_ * lane_count - 1;
    if (processes_ != nullptr) {
      std::vector<std::int64_t> mine;
      for (const auto &end : {edge(parity, first, 0), edge(parity, last, 1)}) {
        mine.insert(mine.end(), end.begin(), end.end());
      }
      std::vector<std::int64_t> everyones(mine.size() * static_cast<std::size_t>(process_count()));
      processes_->all_gather(mine, everyones);
      const auto ends_of = [&](int process) {
        return everyones.begin() + (process + process_count()) % process_count() * 2 * strips_.ghost();
      };
      std::copy_n(ends_of(process_rank() - 1) + strips_.ghost(), strips_.ghost(), edge(parity, first - 1, 1).begin());
      std::copy_n(ends_of(process_rank() + 1), strips_.ghost(), edge(parity, last + 1, 0).begin());
      return;
    }
    std::ranges::copy(edge(parity, last, 1), edge(parity, first - 1, 1).begin());
    std::ranges::copy(edge(parity, first, 0), edge(parity, last + 1, 0).begin());
  }

  void advance(std::int64_t bundle, std::int64_t step, std::int64_t count, int parity, ComposedStep &room) {
    BundleArray<std::int32_t> &times = times_[static_cast<std::size_t>(bundle - first_bundle_)];
    if (!fill_ghosts(bundle, times, parity) || !rebase(bundle, times, count)) {
      too_far_apart_ = true;
      return;
    }
    std::int64_t common_exposed = 0;
    for (std::int64_t done = 0; done < count;) {
      const GroupKeys keys = noise_keys(options_.seed, step + done, options_.measured_jitter);
      if (done + steps_per_noise_group <= count) {
        LaneRow row = costs_.four_steps(bundle, step + done, room);
        if (row.work != nullptr) {
          row.times = reinterpret_cast<Lanes *>(times.lanes_of(0));
          advance_four_steps(row, costs_.noise(), keys, done, strips_.cells() - done);
          common_exposed += steps_per_noise_group * row.common_exposed;
          done += steps_per_noise_group;
          continue;
        }
      }
      for (int within = 0; within < steps_per_noise_group && done < count; ++within, ++done) {
        LaneRow row = costs_.one_step(bundle, step + done, room);
        row.times = reinterpret_cast<Lanes *>(times.lanes_of(0));
        advance_one_step(row, costs_.noise(), keys, within, done, strips_.cells() - done);
      }
    }
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
      offsets_[own_index(bundle * lane_count + lane)] += count * costs_.pace() + common_exposed;
      publish(bundle * lane_count + lane, times, 1 - parity);
    }
  }

  bool fill_ghosts(std::int64_t bundle, BundleArray<std::int32_t> &times, int parity) {
    bool fits = true;
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
      const std::int64_t strip = bundle * lane_count + lane;
      const std::int64_t offset = offsets_[own_index(strip)];
      const auto fill = [&](std::span<const std::int64_t> from, std::int64_t cell) {
        for (const std::int64_t time : from) {
          const auto relative = static_cast<std::int32_t>(time - offset);
          fits = fits && relative == time - offset;
          times.lanes_of(cell++)[lane] = relative;
        }
      };
      fill(edge(parity, strip - 1, 1), 0);
      fill(edge(parity, strip + 1, 0), strips_.ghost() + strips_.width());
    }
    return fits;
  }

  /// Makes every lane's earliest time 0. False when its times could leave 32 bits within `count` steps.
  bool rebase(std::int64_t bundle, BundleArray<std::int32_t> &times, std::int64_t count) {
    Lanes *cells = reinterpret_cast<Lanes *>(times.lanes_of(0));
    Lanes earliest = cells[0];
    Lanes latest = cells[0];
    for (std::int64_t cell = 1; cell < strips_.cells(); ++cell) {
      lower_to(earliest, cells[cell]);
      raise_to(latest, cells[cell]);
    }
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
      const std::int64_t range = std::int64_t{latest[lane]} - earliest[lane];
      if (range + (count + 2) * scale_.longest_step > std::numeric_limits<std::int32_t>::max()) {
        return false;
      }
      offsets_[own_index(bundle * lane_count + lane)] += earliest[lane];
    }
    for (std::int64_t cell = 0; cell < strips_.cells(); ++cell) {
      cells[cell] -= earliest;
    }
    return true;
  }

  void publish(std::int64_t strip, const BundleArray<std::int32_t> &times, int parity) {
    const std::int64_t offset = offsets_[own_index(strip)];
    const auto copy = [&](std::int64_t cell, std::span<std::int64_t> to) {
      for (std::int64_t &time : to) {
        time = offset + times.lanes_of(cell++)[strip % lane_count];
      }
    };
    copy(strips_.first_cell_for_before(strip), edge(parity, strip, 0));
    copy(strips_.first_cell_for_after(strip), edge(parity, strip, 1));
  }

  std::vector<std::int64_t> all_times() {
    std::vector<std::int64_t> result(static_cast<std::size_t>(strips_.ring_size()));
    for (std::int64_t strip = first_bundle_ * lane_count; strip < last_bundle_ * lane_count; ++strip) {
      const BundleArray<std::int32_t> &times = times_[own_index(strip) / lane_count];
      for (std::int64_t rank = strips_.first_rank(strip); rank < strips_.first_rank(strip + 1); ++rank) {
        const std::int64_t cell = strips_.ghost() + rank - strips_.first_rank(strip);
        result[static_cast<std::size_t>(rank)] = offsets_[own_index(strip)] + times.lanes_of(cell)[strip % lane_count];
      }
    }
    gather(result);
    return result;
  }

  /// Of `times` of all ranks, what other processes have computed.
  void gather(std::vector<std::int64_t> &times) const {
    if (processes_ == nullptr) {
      return;
    }
    const auto begin_of = [&](int process) { return strips_.first_rank(first_bundle_of(process) * lane_count); };
    std::int64_t most = 0;
    for (int process = 0; process < process_count(); ++process) {
      most = std::max(most, begin_of(process + 1) - begin_of(process));
    }
    std::vector<std::int64_t> mine(static_cast<std::size_t>(most));
    const auto own = times.begin() + begin_of(process_rank());
    std::copy(own, times.begin() + begin_of(process_rank() + 1), mine.begin());
    std::vector<std::int64_t> everyones(mine.size() * static_cast<std::size_t>(process_count()));
    processes_->all_gather(mine, everyones);
    for (int process = 0; process < process_count(); ++process) {
      std::copy_n(everyones.begin() + process * most, begin_of(process + 1) - begin_of(process),
                  times.begin() + begin_of(process));
    }
  }

  bool any_too_far_apart() const {
    const std::int64_t here = too_far_apart_ ? 1 : 0;
    std::vector<std::int64_t> everyones(static_cast<std::size_t>(process_count()), here);
    if (processes_ != nullptr) {
      processes_->all_gather({&here, 1}, everyones);
    }
    return std::ranges::find(everyones, 1) != everyones.end();
  }

  SimulationOptions options_;
  TickScale scale_;
  int threads_;
  ProcessGroup *processes_;
  std::int64_t hops_;
  Strips strips_;
  std::int64_t first_bundle_;
  std::int64_t last_bundle_;
  StripCosts costs_;
  std::vector<std::int64_t> offsets_; ///< of each strip's times, which are relative to it
  std::vector<BundleArray<std::int32_t>> times_;
  std::vector<std::int64_t> edges_[2]; ///< read in one turn, written for the next
  std::atomic<std::int64_t> next_bundle_ = 0;
  std::atomic<bool> too_far_apart_ = false;
};

} // namespace

Finish run_blocked(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, int threads,
                   ProcessGroup *processes) {
  if (!scale.byte_amplitudes) {
    return run_plain(costs, options, scale); // ticks too fine for 32 bits
  }
  if (processes != nullptr && costs.ring_size() < processes->size() * smallest_blocked_ring) {
    processes = nullptr; // every process computes it all
  }
  std::int64_t workers = threads;
  if (processes != nullptr) {
    std::vector<std::int64_t> everyones(static_cast<std::size_t>(processes->size()));
    processes->all_gather({&workers, 1}, everyones);
    workers = std::accumulate(everyones.begin(), everyones.end(), std::int64_t{0});
  }
  Finish finish;
  finish.ticks = StripRing(costs, options, scale, threads, workers, processes).run();
  if (finish.ticks.empty()) {
    return run_plain(costs, options, scale);
  }
  finish.steps_computed = static_cast<double>(costs.ring_size()) * static_cast<double>(costs.steps());
  add_last_step(costs, options, scale, finish);
  return finish;
}

} // namespace ringscale::simulator
