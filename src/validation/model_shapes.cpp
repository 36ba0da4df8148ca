// SPDX-License-Identifier: Apache-2.0
#include "validation/model_shapes.hpp"

#include <cmath>

#include "report/results_document.hpp"

namespace ringscale::validation {

std::vector<ModelShape> read_model_shapes(const report::Json &document, const std::string &source) {
  report::require_schema(document, source, "ringscale.model_shapes", 1);
  const report::ObjectReader form(document, source);
  form.allow("schema");
  form.allow("schema_version");
  form.allow("description");
  constexpr std::int64_t most = 1 << 24;
  std::vector<ModelShape> shapes;
  for (const report::ObjectReader &entry : form.objects("models")) {
    ModelShape shape;
    shape.name = entry.text("name");
    shape.parameters_b = entry.number("parameters_b", 1e-6, 1e6);
    shape.layers = entry.integer("layers", 1, most);
    shape.hidden_size = entry.integer("hidden_size", 1, most);
    shape.query_heads = entry.integer("query_heads", 1, most);
    shape.feed_forward_size = entry.integer("feed_forward_size", 1, most);
    shape.kv_heads = entry.has("kv_heads") ? entry.integer("kv_heads") : shape.query_heads;
    shape.source = entry.text("source");
    entry.finish();
    shapes.push_back(std::move(shape));
  }
  form.finish();
  return shapes;
}

const ModelShape *find_shape(const std::vector<ModelShape> &shapes, double parameters_b) {
  for (const ModelShape &shape : shapes) {
    if (std::abs(shape.parameters_b / parameters_b - 1.0) < 0.01) {
      return &shape;
    }
  }
  return nullptr;
}

} // namespace ringscale::validation
