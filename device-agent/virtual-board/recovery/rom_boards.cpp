// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/rom_boards.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/mt3620.h"
#include "device-agent/virtual-board/recovery/rom_options.h"
#include "device-agent/virtual-board/recovery/sphere_v3.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"

namespace sphere::virtual_board {

namespace {

Result<std::unique_ptr<DeviceSide>> make_mt3620(const RomOptions& options,
                                                image::TrustStore trust) {
  SPHERE_TRY(Mt3620::check_faults(options.faults));
  return std::make_unique<Mt3620>(
      Mt3620::Config{.trust = std::move(trust), .faults = options.faults});
}

// The key in `file`, which is made when it is missing.
Result<std::shared_ptr<const crypto::PrivateKey>> load_identity(const std::filesystem::path& file) {
  if (file.empty()) {
    return nullptr;
  }
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    SPHERE_TRY_ASSIGN(const auto made, crypto::PrivateKey::generate());
    SPHERE_TRY(write_file(file, made.to_pem().bytes(), {.mode = 0600}));
  }
  SPHERE_TRY_ASSIGN(auto key, crypto::PrivateKey::from_file(file));
  return std::make_shared<const crypto::PrivateKey>(std::move(key));
}

Result<std::unique_ptr<DeviceSide>> make_sphere_v3(const RomOptions& options,
                                                   image::TrustStore trust) {
  SPHERE_TRY(SphereV3Board::check_faults(options.faults));
  SphereV3Board::Config config{
      .trust = std::move(trust), .floor = options.floor, .faults = options.faults};
  SPHERE_TRY_ASSIGN(config.identity, load_identity(options.identity));
  if (!options.board.empty()) {
    config.board_id = options.board;
  }
  // Without a modelled line there is no rate to speak about.
  config.rates.clear();
  if (options.baud != 0) {
    config.rates.push_back(options.baud);
  }
  return std::make_unique<SphereV3Board>(std::move(config));
}

constexpr std::array kBoards = {RomBoard{.protocol = "mt3620", .make = make_mt3620},
                                RomBoard{.protocol = "sphere-v3", .make = make_sphere_v3}};

}  // namespace

std::span<const RomBoard> rom_boards() { return kBoards; }

const RomBoard* find_rom_board(std::string_view protocol) {
  const auto* const found = std::ranges::find(kBoards, protocol, &RomBoard::protocol);
  return found == kBoards.end() ? nullptr : found;
}

}  // namespace sphere::virtual_board
