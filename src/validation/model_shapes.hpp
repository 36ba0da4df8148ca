// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/json.hpp"

namespace ringscale::validation {

/// The public shape of a language model, for tables that name it by its size alone.
struct ModelShape {
  std::string name;
  double parameters_b = 0.0; ///< size as tables print it, 1e9 parameters
  std::int64_t layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0; ///< as many as query heads where the file does not say
  std::int64_t feed_forward_size = 0;
  std::string source;
};

/// Reads a document of schema ringscale.model_shapes. Throws problem::InvalidInput with file and path.
std::vector<ModelShape> read_model_shapes(const report::Json &document, const std::string &source);

/// The shape of this size (within 1 %); nullptr without one.
const ModelShape *find_shape(const std::vector<ModelShape> &shapes, double parameters_b);

} // namespace ringscale::validation
