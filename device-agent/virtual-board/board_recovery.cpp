// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/board_recovery.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/board_directory.h"
#include "device-agent/virtual-board/board_log.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "device-agent/virtual-board/recovery/rom_options.h"
#include "device-agent/virtual-board/recovery/rom_server.h"
#include "device-agent/virtual-board/recovery/sphere_v3.h"
#include "sphere/core/clock.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::virtual_board {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kFaultsLimit = 4096;
constexpr std::size_t kFlashSize = std::size_t{16} * 1024 * 1024;
constexpr std::size_t kRecord = SphereV3Board::kSector;  // Sector 0.

using Bytes = std::span<std::byte>;

void erase(Bytes bytes) { std::ranges::fill(bytes, std::byte{0xFF}); }

// What a name does to the flash, or to the line and the loader.
struct NamedFault {
  std::string_view name;
  void (*spoil)(Bytes flash);
  std::string_view spec;
};
constexpr auto kFaults = std::to_array<NamedFault>({
    {"erased-flash", erase, ""},
    {"no-boot-record", [](Bytes flash) { erase(flash.first(kRecord)); }, ""},
    {"half-written",
     [](Bytes flash) {
       erase(flash.first(kRecord));
       constexpr std::size_t kFirst = SphereV3Board::kFirstImage;
       erase(flash.subspan(kFirst + std::size_t{128} * 1024));
     },
     ""},
    {"flipped-bit", [](Bytes flash) { flash[SphereV3Board::kFirstImage] ^= std::byte{1}; }, ""},
    {"lost-bytes", nullptr, "drop@in:rate=20"},
    {"noisy-line", nullptr, "flip=3@out:rate=100"},
    {"slow-erase", nullptr, "slow-erase=60000"},
    {"unplugged", nullptr, "unplug@in:byte=100000"},
    {"power-cut", nullptr, "power-cut@block=10"},
});

const NamedFault* find_fault(std::string_view name) {
  const auto* const found = std::ranges::find(kFaults, name, &NamedFault::name);
  return found == kFaults.end() ? nullptr : found;
}

fs::path faults_file(const fs::path& directory) { return directory / "recovery/faults"; }

Result<std::vector<const NamedFault*>> read_faults(const fs::path& directory) {
  const fs::path file = faults_file(directory);
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(file, kFaultsLimit));
  std::vector<const NamedFault*> faults;
  for (const std::string& line : split(trim(text), '\n')) {
    if (line.empty()) {
      continue;
    }
    const NamedFault* const fault = find_fault(line);
    if (fault == nullptr) {
      return fail(Errc::corrupt,
                  fmt::format("{}: {} is no fault", file.string(), escape_control(line)));
    }
    faults.push_back(fault);
  }
  return faults;
}

// Does what the faults do to the flash, once: what is left in the file are those of the line.
Result<void> spoil_flash(const fs::path& directory, const std::vector<const NamedFault*>& faults) {
  const fs::path file = directory / "recovery/flash.bin";
  auto flash = read_file(file, kFlashSize);
  const bool has_flash = flash && flash->size() == kFlashSize;
  std::string rest;
  bool spoilt = false;
  for (const NamedFault* const fault : faults) {
    if (fault->spoil == nullptr) {
      rest += fmt::format("{}\n", fault->name);
    } else if (has_flash) {
      fault->spoil(*flash);
      spoilt = true;
    }
  }
  if (spoilt) {
    SPHERE_TRY(write_file(file, *flash, {.mode = 0600}));
  }
  return write_file(faults_file(directory), rest, {.mode = 0600});
}

Result<RomOptions> options_of(const fs::path& directory,
                              const std::vector<const NamedFault*>& faults) {
  SPHERE_TRY_ASSIGN(const auto file, read_board_file(directory));
  RomOptions options{.protocol = "sphere-v3",
                     .keys = {},
                     .board = file.identity.board_id,
                     .identity = directory / "fuses/device-key.pem",
                     .flash = directory / "recovery/flash.bin",
                     .port = std::uint16_t{0},
                     .faults = {},
                     .log = {}};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{directory / "recovery/trust", error}) {
    options.keys.push_back(entry.path());
  }
  for (const NamedFault* const fault : faults) {
    if (!fault->spec.empty()) {
      SPHERE_TRY_ASSIGN(auto parsed, parse_fault(fault->spec));
      options.faults.push_back(std::move(parsed));
    }
  }
  return options;
}

}  // namespace

Result<RecoveryEnd> recover_if_broken(const fs::path& directory, const Clock& clock,
                                      const std::function<void()>& ready) {
  std::error_code error;
  if (!fs::exists(faults_file(directory), error)) {
    return RecoveryEnd::whole;
  }
  SPHERE_TRY_ASSIGN(const auto lock, lock_board(directory));
  SPHERE_TRY_ASSIGN(auto log, BoardLog::open(directory / "board.log", clock));
  SPHERE_TRY_ASSIGN(const auto faults, read_faults(directory));
  SPHERE_TRY(spoil_flash(directory, faults));
  SPHERE_TRY_ASSIGN(const auto options, options_of(directory, faults));
  const fs::path address = directory / "recovery/address";
  log.say("the board is broken and simulated; it waits in its recovery loader");
  const auto end =
      run_rom(options, clock,
              {.ready =
                   [&](const std::string& where) {
                     [[maybe_unused]] const auto written =
                         write_file(address, where + "\n", {.mode = 0600});
                     log.say("recovery loader: " + where);
                     ready();
                   },
               .report = [&](const std::string& line) { log.say("recovery: " + line); },
               .until_complete = true});
  fs::remove(address, error);
  SPHERE_TRY(end);
  if (end->stopped || !end->complete) {
    return RecoveryEnd::stopped;
  }
  fs::remove(faults_file(directory), error);
  log.say("the board is back: it boots");
  return RecoveryEnd::whole;
}

}  // namespace sphere::virtual_board
