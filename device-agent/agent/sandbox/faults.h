// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace sphere::agent {

// What a launcher leaves out, to show that the self-check sees it. sphered's own main() never sets
// it; the tests have a launcher program that does.
struct LauncherFaults {
  std::string skip = {};  // Id of a layer, "L7".
  [[nodiscard]] bool skips(std::string_view layer) const { return skip == layer; }
};

}  // namespace sphere::agent
