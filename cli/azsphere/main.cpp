// SPDX-License-Identifier: MIT
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cli/environment/signals.h"
#include "cli/output/terminal.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  sphere::cli::keep_standard_descriptors();
  sphere::cli::watch_signals();
  const std::span words{argv, static_cast<std::size_t>(argc)};
  return sphere::cli::run_azsphere(
      std::vector<std::string>(words.begin() + (words.empty() ? 0 : 1), words.end()));
}
