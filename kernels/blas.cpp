// SPDX-License-Identifier: Apache-2.0
#include "kernels/blas.hpp"

#include <cblas.h>

#include <limits>
#include <stdexcept>
#include <type_traits>

namespace ringscale::kernels {

namespace {

// OpenBLAS counts with blasint, which is 64 bits wide in some builds; elsewhere it is int.
#if defined(RINGSCALE_OPENBLAS)
using BlasInteger = std::remove_const_t<blasint>;
#else
using BlasInteger = int;
#endif

BlasInteger checked(std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<BlasInteger>::max()) {
    throw std::invalid_argument("blas_multiply: " + std::to_string(value) + " is beyond what this BLAS counts with");
  }
  return static_cast<BlasInteger>(value);
}

/// Threads are Kokkos' affair: a BLAS that starts its own inside each of them slows all of them down.
void use_one_thread() {
#if defined(RINGSCALE_OPENBLAS)
  static const bool once = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(once);
#endif
}

} // namespace

void blas_multiply(std::int64_t rows, std::int64_t columns, std::int64_t depth, float alpha, const ConstMatrix &left,
                   const ConstMatrix &right, float beta, const Matrix &result) {
  if (rows == 0 || columns == 0) {
    return;
  }
  use_one_thread();
  cblas_sgemm(CblasRowMajor, left.transposed ? CblasTrans : CblasNoTrans, right.transposed ? CblasTrans : CblasNoTrans,
              checked(rows), checked(columns), checked(depth), alpha, left.elements, checked(left.leading_dimension),
              right.elements, checked(right.leading_dimension), beta, result.elements,
              checked(result.leading_dimension));
}

std::string blas_name() {
#if defined(RINGSCALE_OPENBLAS)
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": name and version are the first two words.
  const std::string configuration = openblas_get_config();
  const std::size_t name_end = configuration.find(' ');
  const std::size_t version_end = name_end == std::string::npos ? name_end : configuration.find(' ', name_end + 1);
  return configuration.substr(0, version_end) + " " + openblas_get_corename();
#else
  return "CBLAS";
#endif
}

} // namespace ringscale::kernels
