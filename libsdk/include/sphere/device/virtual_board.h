// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"

namespace sphere::device {

// Where the tools keep things, from the XDG variables (docs/how-to/configuration.md).
struct UserDirectories {
  std::filesystem::path data;     // $XDG_DATA_HOME/sphere: keys
  std::filesystem::path state;    // $XDG_STATE_HOME/sphere: boards
  std::filesystem::path runtime;  // $XDG_RUNTIME_DIR/sphere: sockets
};

enum class BoardProfile : std::uint8_t { development, production };
[[nodiscard]] std::string_view to_text(BoardProfile profile);
[[nodiscard]] Result<BoardProfile> parse_board_profile(std::string_view text);

// What `board create` decides; kept as <state>/boards/<name>/board.json.
struct BoardConfig {
  std::string name;
  std::string board_id = "mt3620-rdb";  // Hardware definition the pins come from.
  BoardProfile profile = BoardProfile::development;
  std::uint16_t port = 0;  // TCP port on 127.0.0.1 beside the Unix socket; 0: none.
  bool trust_public_test_key = true;
  // How the service UART with its SLIP link comes out: "", "pty" or "tcp:PORT" (on 127.0.0.1).
  std::string service_uart = {};
  std::uint32_t service_baud = 0;   // Modelled rate of that line; 0: as fast as it goes.
  std::string service_faults = {};  // "drop=N,flip=N,seed=N", N per million bytes.
};

// board.json in the directory of a board. Errors of load: not_found, corrupt (names the key);
// store replaces the file in one step.
[[nodiscard]] Result<BoardConfig> load_board_config(const std::filesystem::path& directory);
[[nodiscard]] Result<void> store_board_config(const std::filesystem::path& directory,
                                              const BoardConfig& config);

// Whether the three members of the service UART have their form. Errors: invalid_argument.
[[nodiscard]] Result<void> check_service_uart(const BoardConfig& config);

// recovery: it is broken and waits in its recovery loader.
enum class BoardState : std::uint8_t { stopped, starting, running, recovery };
[[nodiscard]] std::string_view to_text(BoardState state);

struct BoardStatus {
  BoardConfig config;
  BoardState state = BoardState::stopped;
  std::string device_id;              // 128 hexadecimal digits.
  std::filesystem::path directory;    // All of the board's files.
  std::filesystem::path rest_socket;  // Unix socket of the device REST API.
  std::string device_api_ca_pem;      // What its TLS leaf is signed with.
  pid_t pid = 0;                      // Of sphere-board, 0 when it does not run.
  bool broken = false;                // By inject_fault(); it does not boot.
  std::string recovery_port = {};     // In state recovery: "tcp:HOST:PORT" for device recover.
};

// The ways to break a board: docs/how-to/virtual-board.md tells what each does.
inline constexpr std::array<std::string_view, 9> kBoardFaults = {
    "erased-flash", "no-boot-record", "half-written", "flipped-bit", "lost-bytes",
    "noisy-line",   "slow-erase",     "unplugged",    "power-cut"};

// Asked several times a second by what waits; true ends the wait with Errc::cancelled.
using Cancelled = std::function<bool()>;

// The virtual boards of one user. Names: 1 to 32 of a-z 0-9 -, starting with a letter or digit.
// docs/how-to/virtual-board.md lists the files of a board.
class VirtualBoards {
 public:
  // `key_store` must outlive this object: it holds the device-API CA and the developer's key.
  VirtualBoards(UserDirectories directories, crypto::KeyStore& key_store,
                std::filesystem::path sdk_directory);

  // Makes the board's directory: configuration, fuses (device key), TLS leaf, trust store with the
  // developer's key (development profile only). It appears complete or not at all. Errors: exists,
  // invalid_argument (name, board id), no_space.
  [[nodiscard]] Result<BoardStatus> create(const BoardConfig& config);
  [[nodiscard]] Result<std::vector<BoardStatus>> list() const;          // Sorted by name.
  [[nodiscard]] Result<BoardStatus> show(std::string_view name) const;  // not_found: near names.
  // Starts sphere-board detached and waits until its REST API answers. Running already: success.
  // Errors: not_found (board, sphere-board), busy (port; link.busy), unavailable with the last
  // lines of the board's log when it ends instead, timeout, cancelled. When it fails no process is
  // left behind.
  [[nodiscard]] Result<BoardStatus> start(std::string_view name, std::chrono::seconds limit,
                                          const Cancelled& cancelled = {});
  // Ends the board and waits: SIGTERM first, SIGKILL after `limit`. Not running: success.
  [[nodiscard]] Result<BoardStatus> stop(std::string_view name, std::chrono::seconds limit);
  // Breaks a board in the ways named, one or more of board_faults(); it is switched off for that.
  // From the next start on it waits in its recovery loader until it is brought back with a set that
  // one of this user's keys for images has signed. Errors: not_found, invalid_argument, those of
  // stop() and of files.
  [[nodiscard]] Result<BoardStatus> inject_fault(std::string_view name,
                                                 std::span<const std::string> faults,
                                                 std::chrono::seconds limit);
  // Removes a stopped board and all it holds. Errors: not_found, busy (it runs).
  [[nodiscard]] Result<void> remove(std::string_view name);

 private:
  [[nodiscard]] std::filesystem::path boards() const { return directories_.state / "boards"; }
  [[nodiscard]] Result<void> check_board_id(const std::string& board_id) const;

  UserDirectories directories_;
  crypto::KeyStore* key_store_;
  std::filesystem::path sdk_directory_;
};

}  // namespace sphere::device
