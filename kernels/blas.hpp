// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace ringscale::kernels {

/// A row-major float32 matrix in host memory; a leading dimension is the floats from one row to the next.
struct ConstMatrix {
  const float *elements = nullptr;
  std::int64_t leading_dimension = 0;
  bool transposed = false; ///< taken as its transpose
};

struct Matrix {
  float *elements = nullptr;
  std::int64_t leading_dimension = 0;
};

/// result [rows, columns] = alpha left [rows, depth] right [depth, columns] + beta result, by the CBLAS this was built
/// with, on the calling thread alone. Host memory only. Throws std::invalid_argument where a size is beyond what that
/// CBLAS counts with.
void blas_multiply(std::int64_t rows, std::int64_t columns, std::int64_t depth, float alpha, const ConstMatrix &left,
                   const ConstMatrix &right, float beta, const Matrix &result);

/// The CBLAS and the kernels it chose for this processor: "OpenBLAS 0.3.21 Cooperlake", or "CBLAS" where it does not
/// say.
std::string blas_name();

} // namespace ringscale::kernels
