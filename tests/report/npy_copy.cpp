// SPDX-License-Identifier: Apache-2.0
// npy_copy IN OUT FLOATS: reads a tensor, writes it as it is and as float32. Exit code 2 with the reader's line.
#include <iostream>
#include <span>

#include "problem/invalid_input.hpp"
#include "report/npy_file.hpp"
#include "report/npy_values.hpp"

int main(int argc, char **argv) {
  using namespace ringscale;
  const std::span<char *> arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 4) {
    std::cerr << "usage: npy_copy IN OUT FLOATS\n";
    return 3;
  }
  try {
    const report::NpyTensor tensor = report::read_npy(arguments[1]);
    report::write_npy(arguments[2], tensor.shape, tensor.type, tensor.data);
    const std::vector<float> values = report::to_float(tensor);
    report::write_npy(arguments[3], tensor.shape, report::NpyType::float32, std::as_bytes(std::span(values)));
    std::cout << report::name(tensor.type) << '\n';
  } catch (const problem::InvalidInput &error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
