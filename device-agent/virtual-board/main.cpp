// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "device-agent/virtual-board/options.h"
#include "device-agent/virtual-board/recovery/rom_server.h"
#include "device-agent/virtual-board/run_board.h"

namespace {

int run(std::span<const char* const> arguments) {
  if (!arguments.empty() && std::string_view{arguments.front()} == "rom") {
    return sphere::virtual_board::rom_command(arguments.subspan(1));
  }
  const auto options = sphere::virtual_board::parse_options(arguments);
  if (!options) {
    fmt::print(stderr, "error: {}\nnext:  {}\n", options.error().message(),
               options.error().hint().next);
    return 2;
  }
  if (options->help) {
    fmt::print("{}", sphere::virtual_board::kUsage);
    return EXIT_SUCCESS;
  }
  return sphere::virtual_board::run_board(*options);
}

}  // namespace

int main(int argc, char* argv[]) {
  try {
    return run(std::span{argv, static_cast<std::size_t>(argc)}.subspan(argc > 0 ? 1 : 0));
  } catch (const std::exception& exception) {
    static_cast<void>(std::fputs(exception.what(), stderr));
    return EXIT_FAILURE;
  }
}
