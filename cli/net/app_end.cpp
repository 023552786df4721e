// SPDX-License-Identifier: MIT
#include "cli/net/app_end.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/net/connection.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/bodies.h"
#include "sphere/http/client.h"
#include "sphere/project/source_place.h"

namespace sphere::cli {
namespace {

using device_api::CodePlace;
using device_api::Crash;
using device_api::LastExit;

constexpr std::chrono::milliseconds kBetweenLooks{500};
constexpr std::int64_t kKiB = 1024;

// What si_code says, where it says more than the signal's name. Linux's numbers.
struct Cause {
  int signal;
  std::int64_t code;
  std::string_view text;
  bool with_address;
};
// NOLINTBEGIN(modernize-use-designated-initializers): the rows of a table.
constexpr std::array kCauses{
    Cause{SIGSEGV, 1, "nothing is mapped at", true},
    Cause{SIGSEGV, 2, "access is not allowed to", true},
    Cause{SIGBUS, 1, "misaligned access to", true},
    Cause{SIGBUS, 2, "nothing is behind the mapping of", true},
    Cause{SIGILL, 1, "an instruction that does not exist at", true},
    Cause{SIGFPE, 1, "division of an integer by zero", false},
    Cause{SIGFPE, 3, "division by zero", false},
    Cause{SIGSYS, 1, "a system call that the sandbox does not have", false},
};
// NOLINTEND(modernize-use-designated-initializers)

std::string signal_text(std::int64_t number) {
  const char* const name = ::sigabbrev_np(static_cast<int>(number));
  return name == nullptr ? fmt::format("signal {}", number)
                         : fmt::format("signal {} (SIG{})", number, name);
}

std::string cause_text(std::int64_t signal, const Crash& crash) {
  const auto* const cause = std::ranges::find_if(kCauses, [&](const Cause& row) {
    return row.signal == signal && row.code == crash.signal_code;
  });
  if (cause == kCauses.end()) {
    return {};
  }
  return cause->with_address
             ? fmt::format("{} {}", cause->text, escape_control(crash.fault_address))
             : std::string{cause->text};
}

std::optional<std::uint64_t> number_of(const std::string& hexadecimal) {
  constexpr int kBase = 16;
  if (!hexadecimal.starts_with("0x")) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  const char* const end = std::to_address(hexadecimal.cend());
  const auto [rest, error] =
      std::from_chars(std::to_address(hexadecimal.cbegin() + 2), end, value, kBase);
  return error == std::errc{} && rest == end ? std::optional{value} : std::nullopt;
}

// ", step_on (probe.c:17)", or what keeps it from being said.
std::string source_text(const CodePlace& place, const std::string& build_id,
                        const Symbols& symbols) {
  const auto offset = number_of(place.offset);
  if (symbols.program.empty() || !offset) {
    return {};
  }
  const auto found = project::find_source({.program = symbols.program,
                                           .build_id = build_id,
                                           .offset = *offset,
                                           .sdk_directory = symbols.sdk_directory});
  if (!found) {
    return fmt::format(" ({})", found.error().message());
  }
  const auto text = project::to_text(*found);
  return text.empty() ? text : ", " + escape_control(text);
}

std::string place_text(const CodePlace& place, const std::string& build_id,
                       const Symbols& symbols) {
  if (place.module.empty()) {
    return escape_control(place.address);
  }
  return fmt::format("{}+{}{}", escape_control(place.module), escape_control(place.offset),
                     source_text(place, build_id, symbols));
}

std::string crash_text(std::int64_t signal, const Crash& crash, const Symbols& symbols) {
  std::string text;
  if (const auto cause = cause_text(signal, crash); !cause.empty()) {
    text += ": " + cause;
  }
  if (!crash.at.address.empty()) {
    text += "; at " + place_text(crash.at, crash.build_id, symbols);
  }
  if (!crash.caller.module.empty()) {
    text += "; called from " + place_text(crash.caller, crash.build_id, symbols);
  }
  if (!crash.thread.empty()) {
    text += fmt::format("; thread {}", escape_control(crash.thread));
  }
  return text;
}

std::string memory_text(const device_api::MemoryEnd& memory) {
  const auto used = memory.used_bytes > 0 ? memory.used_bytes : memory.limit_bytes;
  return fmt::format(
      "out of memory: the app needed more than its {} KiB (killed at {} KiB, of which the kernel "
      "may charge {} KiB beside it)",
      memory.budget_bytes / kKiB, used / kKiB,
      std::max<std::int64_t>(memory.limit_bytes - memory.budget_bytes, 0) / kKiB);
}

}  // namespace

std::string end_text(const LastExit& end, const Symbols& symbols) {
  if (end.kind == "exit") {
    return fmt::format("exit code {}", end.code);
  }
  if (end.memory) {
    return memory_text(*end.memory);
  }
  if (end.kind == "watchdog") {
    return fmt::format("watchdog: {}, which the app does not handle", signal_text(end.code));
  }
  return signal_text(end.code) + (end.crash ? crash_text(end.code, *end.crash, symbols) : "");
}

EndWatch::EndWatch(Context& context, device::RestClient rest, std::string component,
                   Symbols symbols)
    : context_{&context},
      rest_{std::move(rest)},
      component_{std::move(component)},
      symbols_{std::move(symbols)} {}

Result<std::unique_ptr<EndWatch>> EndWatch::create(Context& context, const DeviceSession& session,
                                                   const Guid& component, Symbols symbols) {
  SPHERE_TRY_ASSIGN(auto client, http::make_client(session.device.endpoint));
  device::RestClient rest{std::move(client)};
  rest.set_cancelled([&context] { return context.interrupted.load(); });
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  return std::unique_ptr<EndWatch>{
      new EndWatch{context, std::move(rest), component.text(), std::move(symbols)}};
}

void EndWatch::look() {
  if (context_->clock.monotonic() >= next_) {
    look_now();
  }
}

void EndWatch::look_now() {
  const auto apps = rest_.apps();
  next_ = context_->clock.monotonic() + kBetweenLooks;
  if (!apps) {
    return;
  }
  const auto app = std::ranges::find(*apps, component_, &device_api::App::component_id);
  const auto end = app == apps->end() ? std::nullopt : app->last_exit;
  if (!end) {
    return;
  }
  auto now = fmt::format("{} {}", app->restarts, end->at);
  if (now == std::exchange(seen_, now)) {
    return;
  }
  const auto next = app->state == device_api::AppState::running
                        ? fmt::format("it was started again, {} times so far", app->restarts)
                        : fmt::format("it is {}", device_api::to_text(app->state));
  context_->reporter.warn(fmt::format("{} has ended at {}: {}; {}", escape_control(app->name),
                                      escape_control(end->at), end_text(*end, symbols_), next));
}

}  // namespace sphere::cli
