// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/json/value.h"

namespace sphere::agent {

enum class LayerState : std::uint8_t {
  enforced,
  fallback,  // A weaker or older mechanism stands in; `detail` says which.
  absent,    // Nothing enforces it; `detail` says why.
};

// One layer of an app's sandbox, as found when the app was started.
struct Layer {
  std::string id;  // "L4"
  std::string name;
  LayerState state = LayerState::absent;
  std::string detail = {};
  std::string found = {};  // Read back from the kernel, not copied from the plan.
};

struct SandboxReport {
  std::string component_id;
  std::string policy = "dev";
  std::string kernel;
  std::string checked_at;
  bool passed = false;
  std::vector<Layer> layers;
};

struct LayerName {
  std::string_view id, name;
};
// NOLINTBEGIN(modernize-use-designated-initializers): rows of a table
inline constexpr std::array kLayerNames = {
    LayerName{"L0", "identity"},     LayerName{"L1", "namespaces"},
    LayerName{"L2", "user map"},     LayerName{"L3", "image mount"},
    LayerName{"L3b", "integrity"},   LayerName{"L4", "root and mounts"},
    LayerName{"L5", "capabilities"}, LayerName{"L6", "write-xor-execute"},
    LayerName{"L7", "Landlock"},     LayerName{"L8", "limits"},
    LayerName{"L9", "cgroup"},       LayerName{"L10", "seccomp"},
    LayerName{"L11", "firewall"},    LayerName{"L12", "exec"},
    LayerName{"L13", "self-check"},
};
// NOLINTEND(modernize-use-designated-initializers)

[[nodiscard]] std::string_view layer_name(std::string_view id);
[[nodiscard]] json::Value to_json(const SandboxReport& report);

}  // namespace sphere::agent
