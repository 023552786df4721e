// SPDX-License-Identifier: MIT
// recovery_client PROTOCOL PLACE NAME=FILE...: our client writes files to a board at tcp:HOST:PORT
// or the path of a serial device. NAME is what the protocol calls the place: a partition, an
// address. Prints the verdicts.
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/esp.h"
#include "libsdk/src/recovery/fastboot.h"
#include "libsdk/src/recovery/sdp.h"
#include "libsdk/src/recovery/stm32.h"
#include "libsdk/src/recovery/xmodem_client.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/place.h"
#include "tests/support/recovery/stream_client.h"

namespace {

using namespace sphere;
using Files = std::map<std::string, std::vector<std::byte>>;

std::uint32_t hexadecimal(std::string_view text) {
  std::uint32_t value = 0;
  std::from_chars(std::to_address(text.begin()), std::to_address(text.end()), value, 16);
  return value;
}

Result<std::unique_ptr<recovery::Driver>> make_client(std::string_view protocol,
                                                      const Files& files) {
  if (protocol == "fastboot-tcp") {
    recovery::FastbootPlan plan{.images = {}, .tcp = true, .hash_command = "oem sha256"};
    for (const auto& [name, bytes] : files) {
      plan.images.push_back({.partition = name,
                             .file = name,
                             .size = bytes.size(),
                             .sha256 = to_hex(crypto::sha256(bytes))});
    }
    return recovery::make_fastboot(std::move(plan));
  }
  if (protocol == "stm32" || protocol == "stm32-stay") {
    recovery::Stm32Plan plan{.images = {}, .page_size = 1024, .go = 0x08000000};
    for (const auto& [name, bytes] : files) {
      plan.images.push_back({.address = hexadecimal(name), .file = name, .size = bytes.size()});
    }
    if (protocol == "stm32-stay") {
      plan.go.reset();
    }
    return recovery::make_stm32(std::move(plan));
  }
  if (protocol == "esp") {
    recovery::EspPlan plan;
    for (const auto& [name, bytes] : files) {
      plan.images.push_back({.offset = hexadecimal(name),
                             .file = name,
                             .size = bytes.size(),
                             .md5 = crypto::md5(bytes)});
    }
    return recovery::make_esp(std::move(plan));
  }
  if (protocol == "sdp-uart") {
    const auto& [name, bytes] = *files.begin();
    SPHERE_TRY_ASSIGN(const auto image, recovery::parse_sdp_image(bytes));
    return recovery::make_sdp({.chip = *recovery::find_sdp_chip(0x15A2, 0x0080),
                               .image = image,
                               .file = name,
                               .size = bytes.size(),
                               .uart = true});
  }
  if (protocol == "xmodem") {
    const auto& [name, bytes] = *files.begin();
    return recovery::make_xmodem({.file = name, .size = bytes.size(), .answer = "+GOOD"});
  }
  return fail(Errc::not_found, "no such protocol");
}

Result<recovery::Outcome> run(std::span<char*> arguments) {
  constexpr std::size_t kLargest = 64U << 20U;
  Files files;
  for (const std::string_view argument : arguments.subspan(3)) {
    const std::size_t equal = argument.find('=');
    SPHERE_TRY_ASSIGN(auto bytes, read_file(argument.substr(equal + 1), kLargest));
    files.emplace(argument.substr(0, equal), std::move(bytes));
  }
  SPHERE_TRY_ASSIGN(const auto client, make_client(arguments[1], files));
  const std::string_view place{arguments[2]};
  SPHERE_TRY_ASSIGN(const auto stream,
                    place.starts_with("tcp:")
                        ? transport::open_tcp(place.substr(4))
                        : transport::open_tty(std::string{place}, transport::kServiceLine));
  return test::run_client(*client, *stream, files);
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  if (arguments.size() < 4) {
    fmt::print(stderr, "usage: recovery_client PROTOCOL PLACE NAME=FILE...\n");
    return 2;
  }
  const auto outcome = run(arguments);
  if (!outcome || outcome->error) {
    fmt::print(stderr, "{}\n", outcome ? outcome->error->message() : outcome.error().message());
    return 1;
  }
  fmt::print("written {} verified {}\n", to_text(outcome->written), to_text(outcome->verified));
  return 0;
}
