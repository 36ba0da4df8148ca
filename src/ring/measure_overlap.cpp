// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <memory>

#include "problem/invalid_input.hpp"
#include "ring/make_transport.hpp"
#include "ring/measurements.hpp"
#include "ring/sampling.hpp"
#include "ring/tile_bench.hpp"
#include "statistics/summary.hpp"

namespace ringscale::ring {

namespace {

/// One shift of a buffer to the next rank, each time of another buffer into another: a ring's blocks are not in the
/// cache when they are sent either, for the computing between two hops has driven them out.
class Shift {
public:
  Shift(const Communicator &communicator, std::int64_t bytes, Exchange exchange)
      : transport_(make_transport(exchange, communicator)), bytes_(bytes),
        next_((communicator.rank() + 1) % communicator.size()),
        previous_((communicator.rank() + communicator.size() - 1) % communicator.size()), site_{"ring shift",
                                                                                                communicator.rank(), -1,
                                                                                                next_, previous_},
        outgoing_("ringscale::shift::outgoing", static_cast<std::size_t>(buffers * bytes)),
        incoming_("ringscale::shift::incoming", static_cast<std::size_t>(buffers * bytes)) {}

  void start() {
    const std::int64_t place = turn_++ % buffers * bytes_;
    transport_->post_receive(previous_, incoming_.data() + place, bytes_, MessageTag::shift, site_);
    transport_->post_send(next_, outgoing_.data() + place, bytes_, MessageTag::shift, site_);
  }
  void progress() { transport_->progress(); }
  void finish() { transport_->wait_all(site_); }

private:
  static constexpr std::int64_t buffers = 4;

  std::unique_ptr<Transport> transport_;
  std::int64_t bytes_;
  std::int64_t turn_ = 0;
  int next_;
  int previous_;
  Site site_;
  Kokkos::View<std::byte *, kernels::MemorySpace> outgoing_;
  Kokkos::View<std::byte *, kernels::MemorySpace> incoming_;
};

void require_bytes(std::int64_t bytes) {
  if (bytes < 1) {
    throw problem::InvalidInput("a shift needs at least one byte");
  }
}

double hidden_fraction(const OverlapMeasurement &measured, const std::vector<double> &both_s) {
  const double communication_s = statistics::median(measured.communication_s);
  const double compute_s = statistics::median(measured.compute_s);
  const double saved_s = communication_s + compute_s - statistics::median(both_s);
  return std::clamp(saved_s / std::min(communication_s, compute_s), -1.0, 1.0);
}

} // namespace

std::vector<double> measure_shift(Communicator &communicator, std::int64_t bytes, const Repetitions &repetitions,
                                  Exchange exchange) {
  require_bytes(bytes);
  Shift shift(communicator, bytes, exchange);
  return sample_collective(communicator, repetitions, [&] {
    shift.start();
    shift.finish();
  });
}

std::vector<double> measure_all_gather(Communicator &communicator, std::int64_t bytes, const Repetitions &repetitions,
                                       Gathering gathering) {
  if (bytes < 1) {
    throw problem::InvalidInput("an all-gather needs at least one byte a rank");
  }
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::vector<GatheredPart> parts;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    parts.push_back({static_cast<std::int64_t>(rank) * bytes, bytes});
  }
  const Kokkos::View<std::byte *, kernels::MemorySpace> own("ringscale::all_gather::own",
                                                            static_cast<std::size_t>(bytes));
  const Kokkos::View<std::byte *, kernels::MemorySpace> gathered("ringscale::all_gather::gathered",
                                                                 ranks * static_cast<std::size_t>(bytes));
  const auto transport = make_transport(Exchange::nonblocking, communicator);
  const Site site{"all-gather", communicator.rank()};
  return sample_collective(communicator, repetitions, [&] {
    transport->post_all_gather(own.data(), gathered.data(), parts, gathering, site);
    transport->wait_all(site);
  });
}

OverlapMeasurement measure_overlap(Communicator &communicator, const TileSetting &setting, std::int64_t bytes,
                                   const Repetitions &repetitions, Exchange exchange) {
  const TileBench bench(setting);
  require_bytes(bytes);
  Shift shift(communicator, bytes, exchange);
  OverlapMeasurement measured;
  // The four take turns, so that whatever else slows the machine down for a while slows all of them.
  const auto sample_into = [&](std::vector<double> &samples, bool keep, const std::function<void()> &work) {
    const double slowest_s = sample_collective(communicator, {0, 1}, work).front();
    if (keep) {
      samples.push_back(slowest_s);
    }
  };
  for (int turn = -repetitions.warmup; turn < repetitions.samples; ++turn) {
    const bool keep = turn >= 0;
    sample_into(measured.communication_s, keep, [&] {
      shift.start();
      shift.finish();
    });
    sample_into(measured.compute_s, keep, [&] { bench.compute_in_slices([] {}); });
    sample_into(measured.polled_s, keep, [&] {
      shift.start();
      bench.compute_in_slices([&] { shift.progress(); });
      shift.finish();
    });
    sample_into(measured.unpolled_s, keep, [&] {
      shift.start();
      bench.compute_in_slices([] {});
      shift.finish();
    });
  }
  measured.hidden_fraction_polled = hidden_fraction(measured, measured.polled_s);
  measured.hidden_fraction_unpolled = hidden_fraction(measured, measured.unpolled_s);
  return measured;
}

} // namespace ringscale::ring
