// SPDX-License-Identifier: MIT
// usb_rescue KEY FLASH [OPTION...] -- COMMAND [ARGUMENT...]: runs COMMAND with virtual MT3620
// boards behind FT4232H on a USB that umockdev makes up. Must itself run below umockdev-wrapper.
// KEY is the public key that the boards trust, FLASH the file of what the first one's flash holds.
// Options:
//
//   --boards N              so many, at connection paths 11, 12, ... (1)
//   --fault SPEC            of the first board, as sphere-board rom takes it
//   --wrong-strap N         so many resets of the first board do not see its strap
//   --denied [--allow MS]   nobody may open the first board, or not until then
//
// Prints a line of JSON for each board. Its exit status is COMMAND's.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <linux/capability.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/faults.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/mt3620.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"
#include "tests/support/usb-skin/fake_usb.h"
#include "tests/support/usb-skin/recovery_port.h"

namespace {

using namespace sphere;

struct Options {
  std::string key;
  std::string flash;
  unsigned boards = 1;
  unsigned wrong_straps = 0;
  bool denied = false;
  std::optional<unsigned> allow_after = {};
  std::vector<virtual_board::Fault> faults = {};
  std::vector<char*> command = {};
};

unsigned number(std::string_view text) {
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Result<Options> parse(std::span<char*> arguments) {
  Options options{.key = arguments[1], .flash = arguments[2]};
  std::size_t at = 3;
  for (; at < arguments.size() && std::string_view{arguments[at]} != "--"; ++at) {
    const std::string_view name{arguments[at]};
    if (name == "--denied") {
      options.denied = true;
      continue;
    }
    if (++at == arguments.size()) {
      break;
    }
    if (name == "--boards") {
      options.boards = number(arguments[at]);
    } else if (name == "--wrong-strap") {
      options.wrong_straps = number(arguments[at]);
    } else if (name == "--allow") {
      options.allow_after = number(arguments[at]);
    } else if (name == "--fault") {
      SPHERE_TRY_ASSIGN(auto fault, virtual_board::parse_fault(arguments[at]));
      options.faults.push_back(std::move(fault));
    }
  }
  for (++at; at < arguments.size(); ++at) {
    options.command.push_back(arguments[at]);
  }
  if (options.command.empty()) {
    return fail(Errc::invalid_argument, "no command");
  }
  options.command.push_back(nullptr);
  return options;
}

// Root may open everything: as a user may not.
int run(const Options& options, test::FakeUsb& first) {
  constexpr unsigned kNobody = 0;
  constexpr unsigned kOwner = 0600;
  if (options.denied) {
    first.set_mode(kNobody);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    if (options.denied) {
      ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
      ::prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
    }
    ::execvp(options.command.front(), options.command.data());
    std::perror(options.command.front());
    ::_exit(2);
  }
  if (options.allow_after) {
    std::this_thread::sleep_for(std::chrono::milliseconds{*options.allow_after});
    first.set_mode(kOwner);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

struct Board {
  std::unique_ptr<virtual_board::Mt3620> chip;
  std::unique_ptr<test::RecoveryPort> port;
  std::unique_ptr<test::FakeUsb> usb;
};

Board make_board(const Options& options, const image::TrustStore& trust, unsigned index,
                 test::FakeUsb* bus) {
  Board board;
  virtual_board::Mt3620::Config config{.trust = trust};
  config.device_id.back() = static_cast<std::byte>(index);
  config.erase_time = std::chrono::milliseconds{200};
  config.flash_size = std::size_t{1} << 20U;
  test::RecoveryPort::Config port;
  if (index == 1) {
    config.faults = options.faults;
    port.faults = options.faults;
    port.wrong_straps = options.wrong_straps;
  }
  board.chip = std::make_unique<virtual_board::Mt3620>(std::move(config));
  port.board = board.chip.get();
  board.port = std::make_unique<test::RecoveryPort>(std::move(port));
  board.usb = bus == nullptr ? std::make_unique<test::FakeUsb>()
                             : std::make_unique<test::FakeUsb>(*bus, index);
  board.usb->connect_recovery(*board.port);
  return board;
}

Result<int> run(const Options& options) {
  constexpr std::size_t kKeyLimit = 64 * 1024;
  SPHERE_TRY_ASSIGN(const auto pem, read_text_file(options.key, kKeyLimit));
  SPHERE_TRY_ASSIGN(const auto key, crypto::PublicKey::from_pem(pem));
  image::TrustStore trust;
  for (const auto role : {image::Role::os, image::Role::trust_store}) {
    trust.add({.key = key, .thumbprints = {}, .role = role});
  }
  std::vector<Board> boards;
  for (unsigned i = 1; i <= options.boards; ++i) {
    boards.push_back(
        make_board(options, trust, i, boards.empty() ? nullptr : boards.front().usb.get()));
  }
  auto& flash = boards.front().chip->flash();
  if (const auto before = read_file(options.flash, flash.size())) {
    flash.load(0, *before);
  }
  const int status = run(options, *boards.front().usb);
  for (const Board& board : boards) {
    const auto& counters = board.chip->flash().counters();
    fmt::print("{{\"complete\":{},\"booted\":{},\"resets\":{},\"sectorsErased\":{}}}\n",
               board.chip->is_complete(), board.port->boots() > 0, board.port->resets(),
               counters.sectors_erased);
  }
  SPHERE_TRY(write_file(options.flash, flash.bytes()));
  while (!boards.empty()) {
    boards.pop_back();  // The first one is the bus of the others.
  }
  return status;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  if (arguments.size() < 5) {
    fmt::print(stderr, "usage: usb_rescue KEY FLASH [OPTION...] -- COMMAND [ARGUMENT...]\n");
    return 2;
  }
  const auto options = parse(arguments);
  const auto status = options ? run(*options) : Result<int>{tl::make_unexpected(options.error())};
  if (!status) {
    fmt::print(stderr, "{}\n", status.error().message());
    return 2;
  }
  return *status;
}
