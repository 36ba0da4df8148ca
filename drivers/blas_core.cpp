// SPDX-License-Identifier: Apache-2.0
#include "drivers/blas_core.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "kernels/blas.hpp"

namespace ringscale::drivers {

namespace {

constexpr const char *core_variable = "OPENBLAS_CORETYPE";
constexpr std::string_view probe_argument = "--blas-speed";
constexpr const char *own_program = "/proc/self/exe";

/// GFLOP/s of the two products of attention at 256 tokens and head_dim 64, best of some bursts.
double blas_speed() {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t tokens = 256;
  constexpr std::int64_t head_dim = 64;
  const std::vector<float> tensor(tokens * head_dim, 0.5F);
  std::vector<float> scores(tokens * tokens);
  std::vector<float> output(tokens * head_dim);
  double best = 0.0;
  const Clock::time_point start = Clock::now();
  while (Clock::now() - start < std::chrono::milliseconds(60)) {
    constexpr int calls = 4;
    const Clock::time_point burst = Clock::now();
    for (int call = 0; call < calls; ++call) {
      kernels::blas_multiply(tokens, tokens, head_dim, 1.0F, {tensor.data(), head_dim}, {tensor.data(), head_dim, true},
                             0.0F, {scores.data(), tokens});
      kernels::blas_multiply(tokens, head_dim, tokens, 1.0F, {scores.data(), tokens}, {tensor.data(), head_dim}, 0.0F,
                             {output.data(), head_dim});
    }
    const double burst_s = std::chrono::duration<double>(Clock::now() - burst).count();
    const double speed = calls * 4.0 * tokens * tokens * head_dim / burst_s * 1e-9;
    best = speed > best ? speed : best;
  }
  return best;
}

/// The choices of OpenBLAS that this processor can run; "" is its own.
std::vector<std::string> candidates() {
  std::vector<std::string> cores = {""};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    cores.insert(cores.end(), {"Haswell", "Zen"});
  }
  if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0) {
    cores.emplace_back("SkylakeX");
  }
#endif
  return cores;
}

/// Runs this program with `core` and the probe's argument; the speed it prints, or 0.
double probed_speed(const std::string &core) {
  std::array<int, 2> pipe_ends{};
  if (::pipe(pipe_ends.data()) != 0) {
    return 0.0;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe_ends[1], STDOUT_FILENO);
    ::close(pipe_ends[0]);
    ::setenv(core_variable, core.c_str(), 1);
    ::execl(own_program, own_program, probe_argument.data(), static_cast<char *>(nullptr));
    ::_exit(1);
  }
  ::close(pipe_ends[1]);
  double speed = 0.0;
  if (child > 0) {
    std::array<char, 64> text{};
    const ssize_t length = ::read(pipe_ends[0], text.data(), text.size() - 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    // A choice that this OpenBLAS was built without ends in its own choice, one the processor cannot run in a signal.
    speed = length > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::strtod(text.data(), nullptr) : 0.0;
  }
  ::close(pipe_ends[0]);
  return speed;
}

} // namespace

void tune_blas_core(int argc, char **argv) {
  if (argc == 2 && argv[1] == probe_argument) {
    std::printf("%.3f\n", blas_speed());
    std::exit(0);
  }
  // Set also by the second start, which so knows that it is the second.
  if (std::getenv(core_variable) != nullptr || !std::string_view(kernels::blas_name()).starts_with("OpenBLAS")) {
    return;
  }
  std::string best_core;
  double best = 0.0;
  for (const std::string &core : candidates()) {
    // More than noise: OpenBLAS' own choice, the first, stays where nothing is clearly faster.
    if (const double speed = probed_speed(core); speed > 1.02 * best) {
      best = speed;
      best_core = core;
    }
  }
  ::setenv(core_variable, best_core.c_str(), 1);
  if (!best_core.empty()) {
    ::execv(own_program, argv);
  }
}

} // namespace ringscale::drivers
