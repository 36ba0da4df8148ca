// SPDX-License-Identifier: Apache-2.0
#include "drivers/ring_settings.hpp"

#include <algorithm>
#include <stdexcept>

namespace ringscale::drivers {

namespace {

using problem::Mask;
using schedule::Pass;
using schedule::Placement;
using schedule::RingProblem;
using schedule::Schedule;

constexpr int most_ranks = 8;

RingProblem ring(std::int64_t ring_size, std::int64_t chunk_tokens, std::int64_t head_dim, Mask mask,
                 Placement placement) {
  RingProblem problem;
  problem.ring_size = ring_size;
  problem.placement = placement;
  problem.attention.tokens = chunk_tokens * ring_size;
  problem.attention.query_heads = problem.attention.kv_heads = calibrated_heads;
  problem.attention.head_dim = head_dim;
  problem.attention.mask = mask;
  return problem;
}

RingProblem with(RingProblem problem, Schedule schedule, Pass pass) {
  problem.schedule = schedule;
  problem.pass = pass;
  problem.inner_ring_size = schedule == Schedule::double_ring ? problem.ring_size / 2 : 1;
  return problem;
}

/// What a ring of this size runs beyond the plain forward ring; all of it is held out.
std::vector<RingProblem> variants(const RingProblem &plain) {
  std::vector<RingProblem> result;
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    if (pass == Pass::backward) {
      result.push_back(with(plain, Schedule::ring, pass));
    }
    if (plain.ring_size > 1) {
      result.push_back(with(plain, Schedule::all_gather, pass));
    }
    if (plain.ring_size > 2) { // of two ranks both directions are one
      result.push_back(with(plain, Schedule::bidirectional_ring, pass));
    }
    if (plain.ring_size >= 4 && plain.ring_size % 2 == 0) {
      result.push_back(with(plain, Schedule::double_ring, pass));
    }
  }
  if (plain.ring_size > 1) {
    RingProblem moving = plain;
    moving.moving = schedule::Moving::query;
    result.push_back(moving);
    if (plain.attention.mask == Mask::causal && plain.placement == Placement::contiguous) {
      RingProblem needed = plain;
      needed.hops = schedule::Hops::needed;
      result.push_back(needed);
    }
  }
  return result;
}

} // namespace

std::vector<RingSetting> calibration_rings(int ranks, std::int64_t head_dim, const std::vector<std::int64_t> &chunks) {
  std::vector<RingSetting> rings;
  for (std::int64_t ring_size = 1; ring_size <= std::min(ranks, most_ranks); ++ring_size) {
    for (const std::int64_t chunk : chunks) {
      rings.push_back({ring(ring_size, chunk, head_dim, Mask::none, Placement::contiguous)});
      if (ring_size > 1) {
        rings.push_back({ring(ring_size, chunk, head_dim, Mask::causal, Placement::contiguous)});
      }
      rings.push_back({ring(ring_size, chunk, head_dim, Mask::causal, Placement::zigzag)});
      if (chunk <= 1024) { // longer ones take most of the time and say the same
        rings.push_back({with(ring(ring_size, chunk, head_dim, Mask::none, Placement::contiguous), Schedule::ring,
                              Pass::backward)});
        rings.push_back(
            {with(ring(ring_size, chunk, head_dim, Mask::causal, Placement::zigzag), Schedule::ring, Pass::backward)});
      }
    }
  }
  return rings;
}

std::vector<RingSetting> validation_rings(int ranks, std::int64_t head_dim, const std::vector<std::int64_t> &chunks) {
  if (chunks.size() < 4) {
    throw std::invalid_argument("validation rings need four chunk lengths or more");
  }
  std::vector<RingSetting> rings;
  for (std::int64_t ring_size = 1; ring_size <= std::min(ranks, most_ranks); ++ring_size) {
    const bool fitted_size = ring_size == 1 || ring_size % 2 == 0;
    for (std::size_t place = 0; place < chunks.size(); ++place) {
      const bool fitted_chunk = place == 0 || place == 1 || place + 1 == chunks.size();
      const std::int64_t chunk = chunks[place];
      const RingProblem unmasked = ring(ring_size, chunk, head_dim, Mask::none, Placement::contiguous);
      const RingProblem causal = ring(ring_size, chunk, head_dim, Mask::causal, Placement::contiguous);
      rings.push_back({unmasked, !(fitted_size && fitted_chunk)});
      rings.push_back({causal, !(fitted_size && fitted_chunk)});
      if (fitted_size && place % 2 == 0) { // the other chunks' backward rings are held out
        rings.push_back({with(unmasked, Schedule::ring, Pass::backward)});
        rings.push_back({with(causal, Schedule::ring, Pass::backward)});
      }
      const RingProblem zigzag = ring(ring_size, chunk, head_dim, Mask::causal, Placement::zigzag);
      if (ring_size > 1) {
        rings.push_back({zigzag, true});
        rings.push_back({ring(ring_size, chunk, head_dim, Mask::causal, Placement::striped), true});
      }
      if (place % 2 == 1) { // half of the chunks: schedules take the most time
        for (const RingProblem &plain : {unmasked, causal, zigzag}) {
          if (ring_size > 1 || plain.placement == Placement::contiguous) {
            for (const RingProblem &variant : variants(plain)) {
              rings.push_back({variant, true});
            }
          }
        }
      }
    }
  }
  return rings;
}

std::string describe(const RingProblem &problem) {
  std::string text = "P=" + std::to_string(problem.ring_size) + " x " +
                     std::to_string(problem.attention.tokens / problem.ring_size) + " tokens, " +
                     std::string(problem::name(problem.attention.mask)) + " " +
                     std::string(schedule::name(problem.placement)) + " " +
                     std::string(schedule::name(problem.schedule)) + " " + std::string(schedule::name(problem.pass));
  if (problem.moving == schedule::Moving::query) {
    text += ", moving queries";
  }
  if (problem.hops == schedule::Hops::needed) {
    text += ", needed hops";
  }
  return text;
}

} // namespace ringscale::drivers
