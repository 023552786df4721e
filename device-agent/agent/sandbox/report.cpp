// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/report.h"

#include <string_view>

#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

std::string_view to_text(LayerState state) {
  switch (state) {
    case LayerState::enforced:
      return "enforced";
    case LayerState::fallback:
      return "fallback";
    case LayerState::absent:
      return "absent";
  }
  return "absent";
}

}  // namespace

std::string_view layer_name(std::string_view id) {
  for (const auto& layer : kLayerNames) {
    if (layer.id == id) {
      return layer.name;
    }
  }
  return "unknown";
}

json::Value to_json(const SandboxReport& report) {
  json::Value layers{json::Array{}};
  for (const auto& layer : report.layers) {
    layers.push(json::Value{}
                    .set("id", layer.id)
                    .set("name", layer.name)
                    .set("state", to_text(layer.state))
                    .set("detail", layer.detail)
                    .set("found", layer.found));
  }
  return json::Value{}
      .set("componentId", report.component_id)
      .set("policy", report.policy)
      .set("kernel", report.kernel)
      .set("checkedAt", report.checked_at)
      .set("passed", report.passed)
      .set("layers", layers);
}

}  // namespace sphere::agent
