// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "problem/invalid_input.hpp"
#include "ring/measurements.hpp"
#include "ring/mpi_transport.hpp"
#include "ring/sampling.hpp"
#include "ring/tile_bench.hpp"
#include "statistics/summary.hpp"

namespace ringscale::ring {

namespace {

/// Two buffers, and one shift of the outgoing one to the next rank.
class Shift {
public:
  Shift(const Communicator &communicator, std::int64_t bytes)
      : transport_(communicator), bytes_(bytes), next_((communicator.rank() + 1) % communicator.size()),
        previous_((communicator.rank() + communicator.size() - 1) % communicator.size()), site_{"ring shift",
                                                                                                communicator.rank(), -1,
                                                                                                next_, previous_},
        outgoing_("ringscale::shift::outgoing", static_cast<std::size_t>(bytes)),
        incoming_("ringscale::shift::incoming", static_cast<std::size_t>(bytes)) {
    if (bytes < 1) {
      throw problem::InvalidInput("a shift needs at least one byte");
    }
  }

  void start() {
    transport_.post_receive(previous_, incoming_.data(), bytes_, MessageTag::shift, site_);
    transport_.post_send(next_, outgoing_.data(), bytes_, MessageTag::shift, site_);
  }
  void progress() { transport_.progress(); }
  void finish() { transport_.wait(site_); }

private:
  MpiTransport transport_;
  std::int64_t bytes_;
  int next_;
  int previous_;
  Site site_;
  Kokkos::View<std::byte *, kernels::MemorySpace> outgoing_;
  Kokkos::View<std::byte *, kernels::MemorySpace> incoming_;
};

double hidden_fraction(const OverlapMeasurement &measured, const std::vector<double> &both_s) {
  const double communication_s = statistics::median(measured.communication_s);
  const double compute_s = statistics::median(measured.compute_s);
  const double saved_s = communication_s + compute_s - statistics::median(both_s);
  return std::clamp(saved_s / std::min(communication_s, compute_s), 0.0, 1.0);
}

} // namespace

std::vector<double> measure_shift(Communicator &communicator, std::int64_t bytes, const Repetitions &repetitions) {
  Shift shift(communicator, bytes);
  return sample_collective(communicator, repetitions, [&] {
    shift.start();
    shift.finish();
  });
}

OverlapMeasurement measure_overlap(Communicator &communicator, const TileSetting &setting, std::int64_t bytes,
                                   const Repetitions &repetitions) {
  const TileBench bench(setting);
  Shift shift(communicator, bytes);
  OverlapMeasurement measured;
  measured.communication_s = sample_collective(communicator, repetitions, [&] {
    shift.start();
    shift.finish();
  });
  measured.compute_s = sample_collective(communicator, repetitions, [&] { bench.compute_in_slices([] {}); });
  measured.polled_s = sample_collective(communicator, repetitions, [&] {
    shift.start();
    bench.compute_in_slices([&] { shift.progress(); });
    shift.finish();
  });
  measured.unpolled_s = sample_collective(communicator, repetitions, [&] {
    shift.start();
    bench.compute_in_slices([] {});
    shift.finish();
  });
  measured.hidden_fraction_polled = hidden_fraction(measured, measured.polled_s);
  measured.hidden_fraction_unpolled = hidden_fraction(measured, measured.unpolled_s);
  return measured;
}

} // namespace ringscale::ring
