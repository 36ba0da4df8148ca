// SPDX-License-Identifier: Apache-2.0
#include "kernels/rounding.hpp"

#include <Kokkos_Profiling_ScopedRegion.hpp>

#include <stdexcept>

namespace ringscale::kernels {

namespace {

/// Elements of one work item: long enough that the loop over them runs in vector registers.
constexpr std::int64_t chunk_elements = 4096;

/// to[i] = Function{}(from[i]); the loop has no branch, so compilers turn it into vector instructions.
template <class Function, class From, class To> struct ConvertChunk {
  const From *from;
  To *to;
  std::int64_t count;

  KOKKOS_FUNCTION void operator()(const std::int64_t chunk) const {
    const std::int64_t begin = chunk * chunk_elements;
    const std::int64_t end = begin + chunk_elements < count ? begin + chunk_elements : count;
    for (std::int64_t index = begin; index < end; ++index) {
      to[index] = Function{}(from[index]);
    }
  }
};

template <FloatFormat format> struct Round {
  KOKKOS_INLINE_FUNCTION float operator()(float value) const { return round_to<format>(value); }
};
template <FloatFormat format> struct Encode {
  KOKKOS_INLINE_FUNCTION std::uint16_t operator()(float value) const {
    return static_cast<std::uint16_t>(encode<format>(value));
  }
};
template <FloatFormat format> struct Decode {
  KOKKOS_INLINE_FUNCTION float operator()(std::uint16_t pattern) const { return decode<format>(pattern); }
};

template <class Function, class From, class To>
void convert(const ExecutionSpace &space, const char *label, const From *from, std::int64_t count, To *to) {
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for(label, Policy(space, 0, (count + chunk_elements - 1) / chunk_elements),
                       ConvertChunk<Function, From, To>{from, to, count});
}

[[noreturn]] void refuse(const char *function) {
  throw std::invalid_argument(std::string(function) + ": only bfloat16 and float16 are stored in two bytes");
}

} // namespace

void round_elements(const ExecutionSpace &space, const float *from, std::int64_t count, NumberFormat format,
                    float *to) {
  constexpr const char *label = "ringscale::round_elements";
  switch (format) {
  case NumberFormat::float32:
    return convert<Round<float32_format>>(space, label, from, count, to);
  case NumberFormat::tfloat32:
    return convert<Round<tfloat32_format>>(space, label, from, count, to);
  case NumberFormat::bfloat16:
    return convert<Round<bfloat16_format>>(space, label, from, count, to);
  case NumberFormat::float16:
    return convert<Round<float16_format>>(space, label, from, count, to);
  case NumberFormat::float8_e4m3:
    return convert<Round<float8_e4m3_format>>(space, label, from, count, to);
  case NumberFormat::float8_e5m2:
    return convert<Round<float8_e5m2_format>>(space, label, from, count, to);
  }
  throw std::invalid_argument("round_elements: unknown format");
}

void pack_elements(const ExecutionSpace &space, const float *from, std::int64_t count, NumberFormat format,
                   std::uint16_t *to) {
  constexpr const char *label = "ringscale::pack_elements";
  if (format == NumberFormat::bfloat16) {
    return convert<Encode<bfloat16_format>>(space, label, from, count, to);
  }
  if (format == NumberFormat::float16) {
    return convert<Encode<float16_format>>(space, label, from, count, to);
  }
  refuse("pack_elements");
}

void unpack_elements(const ExecutionSpace &space, const std::uint16_t *from, std::int64_t count, NumberFormat format,
                     float *to) {
  constexpr const char *label = "ringscale::unpack_elements";
  if (format == NumberFormat::bfloat16) {
    return convert<Decode<bfloat16_format>>(space, label, from, count, to);
  }
  if (format == NumberFormat::float16) {
    return convert<Decode<float16_format>>(space, label, from, count, to);
  }
  refuse("unpack_elements");
}

} // namespace ringscale::kernels
