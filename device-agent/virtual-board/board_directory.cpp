// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/board_directory.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/virtual-board/service_uart.h"
#include "device-agent/virtual-board/uart_line.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::virtual_board {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBoardFileLimit = std::size_t{64} * 1024;
constexpr std::size_t kLockTextLimit = 64;

tl::unexpected<Error> bad_member(const fs::path& file, std::string_view member) {
  return fail(Errc::corrupt, fmt::format("{}: {} is missing or wrong", file.string(), member),
              {.reason = "local.file-unreadable",
               .value = file.string(),
               .next = "delete the board and create it anew"});
}

// The members serviceUart, serviceBaud and serviceFaults; all may be absent.
Result<ServiceUartPlan> read_service_uart(const fs::path& file, const json::Value& value) {
  auto plan = parse_service_uart(value.string_at("serviceUart").value_or(""));
  if (!plan) {
    return bad_member(file, "serviceUart");
  }
  const auto baud = value.integer_at("serviceBaud").value_or(0);
  if (baud < 0 || baud > std::numeric_limits<std::uint32_t>::max()) {
    return bad_member(file, "serviceBaud");
  }
  plan->baud = static_cast<std::uint32_t>(baud);
  if (const auto text = value.string_at("serviceFaults").value_or(""); !text.empty()) {
    const auto faults = parse_line_faults(text);
    if (!faults) {
      return bad_member(file, "serviceFaults");
    }
    plan->faults = *faults;
  }
  return plan;
}

}  // namespace

Result<BoardFile> read_board_file(const fs::path& directory) {
  const auto file = directory / "board.json";
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(file, kBoardFileLimit));
  auto value = json::parse(text);
  if (!value) {
    return tl::unexpected<Error>{std::move(value).error().while_doing(file.string())};
  }
  const auto name = value->string_at("name");
  const auto board_id = value->string_at("boardId");
  const auto port = value->integer_at("port");
  if (!name || name->empty()) {
    return bad_member(file, "name");
  }
  if (!board_id || board_id->empty()) {
    return bad_member(file, "boardId");
  }
  if (value->find("port") != nullptr &&
      (!port || *port < 0 || *port > std::numeric_limits<std::uint16_t>::max())) {
    return bad_member(file, "port");
  }
  SPHERE_TRY_ASSIGN(const auto service_uart, read_service_uart(file, *value));
  return BoardFile{
      .identity = {.board_id = *board_id,
                   .name = *name,
                   .trust_public_test_key = value->boolean_at("trustPublicTestKey").value_or(true)},
      .port = static_cast<std::uint16_t>(port.value_or(0)),
      .service_uart = service_uart};
}

Result<FileLock> lock_board(const fs::path& directory) {
  const auto path = directory / "lock";
  auto lock = FileLock::try_acquire(path);
  if (!lock && lock.error().code() == Errc::busy) {
    const auto text = read_text_file(path, kLockTextLimit);
    const auto holder = std::string{text ? trim(*text) : std::string_view{}};
    return fail(Errc::busy,
                fmt::format("the board in {} runs already (process {})", directory.string(),
                            holder.empty() ? "unknown" : holder),
                {.reason = "link.busy", .value = holder});
  }
  if (!lock) {
    return lock;
  }
  const auto text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock->descriptor(), 0) != 0) {
    return tl::unexpected<Error>{system_error("write", path, errno)};
  }
  SPHERE_TRY(write_all(lock->descriptor(), std::as_bytes(std::span{text}), path));
  return lock;
}

}  // namespace sphere::virtual_board
