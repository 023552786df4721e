// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/device/board_fault.h"
#include "libsdk/src/device/board_maker.h"
#include "libsdk/src/device/board_process.h"
#include "libsdk/src/device/runtime_directory.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key_store.h"
#include "sphere/device/attached.h"
#include "sphere/device/rest_client.h"
#include "sphere/device/virtual_board.h"
#include "sphere/http/client.h"
#include "sphere/http/server.h"

namespace sphere::device {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kLongestName = 32;
constexpr std::chrono::milliseconds kPoll{50};

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && name.front() != '-' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

Result<void> check_name(std::string_view name) {
  if (is_name(name)) {
    return {};
  }
  return fail(Errc::invalid_argument,
              fmt::format("\"{}\" cannot be the name of a board", escape_control(name)),
              {.reason = "usage.bad-value",
               .value = std::string{name},
               .next = "use 1 to 32 small letters, digits and hyphens"});
}

// One tool at a time starts, stops or removes a board. Ends the wait with an error after `until`.
Result<FileLock> take_control(const fs::path& directory, SteadyClock::time_point until,
                              const Cancelled& cancelled) {
  while (true) {
    auto lock = FileLock::try_acquire(directory / "control-lock");
    if (lock || lock.error().code() != Errc::busy) {
      return lock;
    }
    if (cancelled && cancelled()) {
      return fail(Errc::cancelled, "interrupted while another command works on the board");
    }
    if (SteadyClock::now() >= until) {
      return fail(Errc::busy, "another command starts or stops this board",
                  {.reason = "link.busy",
                   .value = directory.filename().string(),
                   .next = "wait for it, then try again"});
    }
    std::this_thread::sleep_for(kPoll);
  }
}

Result<BoardStatus> read_status(const fs::path& directory, const fs::path& runtime) {
  SPHERE_TRY_ASSIGN(BoardConfig config, load_board_config(directory));
  SPHERE_TRY_ASSIGN(std::string device_id, read_device_id(directory));
  SPHERE_TRY_ASSIGN(std::string ca, read_device_api_ca(directory));
  config.name = directory.filename().string();  // A copied directory is a board of its own name.
  const fs::path sockets = find_runtime_directory(runtime, directory, config.name);
  BoardStatus status{.config = std::move(config),
                     .state = BoardState::stopped,
                     .device_id = std::move(device_id),
                     .directory = directory,
                     .rest_socket = sockets.empty() ? fs::path{} : sockets / "rest.sock",
                     .device_api_ca_pem = std::move(ca),
                     .pid = running_pid(directory)};
  status.broken = is_broken(directory);
  if (status.pid != 0 && status.broken) {
    status.state = BoardState::recovery;
    status.recovery_port = recovery_port(directory);
  } else if (status.pid != 0) {
    status.state =
        accepts_connections(status.rest_socket) ? BoardState::running : BoardState::starting;
  }
  return status;
}

tl::unexpected<Error> board_exists(const std::string& name, const fs::path& target) {
  return fail(Errc::exists, fmt::format("there is already a board named {}", name),
              {.reason = "local.file-exists",
               .value = target.string(),
               .next = "choose another name, or start it: sphere board start " + name});
}

// Makes what was filled aside the board `target`; never replaces one.
Result<void> move_into_place(const std::string& aside, const fs::path& target,
                             const std::string& name) {
  if (std::rename(aside.c_str(), target.c_str()) == 0) {
    return {};
  }
  const int number = errno;
  if (number == ENOTEMPTY || number == EEXIST) {
    return board_exists(name, target);
  }
  return tl::make_unexpected(system_error("make", target, number));
}

// The names of all boards, sorted.
std::vector<std::string> board_names(const fs::path& boards) {
  std::vector<std::string> names;
  std::error_code ec;
  for (fs::directory_iterator entry{boards, ec}, end; !ec && entry != end; entry.increment(ec)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (is_name(name) && fs::exists(entry->path() / "board.json", ignored)) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  return names;
}

// sphere-board beside this program, in the SDK's Tools, or on PATH.
fs::path find_sphere_board(const fs::path& sdk) {
  std::error_code ignored;
  for (const fs::path& place : {own_program().parent_path(), sdk / "Tools"}) {
    if (!place.empty() && fs::exists(place / "sphere-board", ignored)) {
      return place / "sphere-board";
    }
  }
  return "sphere-board";
}

// Found out before the start: then the message can name the port, and nothing has begun.
Result<void> check_port(const BoardStatus& status) {
  if (status.config.port == 0) {
    return {};
  }
  auto listener = http::listen_tcp("127.0.0.1", status.config.port);
  if (listener) {
    return {};
  }
  return tl::make_unexpected(std::move(listener).error().with_hint(
      {.reason = "link.busy",
       .value = fmt::format("127.0.0.1:{}", status.config.port),
       .next = fmt::format("end the program that uses the port, or create a board with another "
                           "one: sphere board create NAME --port PORT")}));
}

// Starts the stopped board `status`.
Result<void> launch(const BoardStatus& status, const fs::path& sdk, const fs::path& runtimes,
                    SteadyClock::time_point until, const Cancelled& cancelled) {
  SPHERE_TRY(check_port(status));
  SPHERE_TRY_ASSIGN(const fs::path runtime,
                    make_runtime_directory(runtimes, status.directory, status.config.name));
  SPHERE_TRY(launch_board({.program = find_sphere_board(sdk),
                           .directory = status.directory,
                           .runtime = runtime,
                           .sdk = sdk},
                          until, cancelled));
  return {};
}

// Waits until the REST API answers.
Result<void> wait_for_rest(const BoardStatus& status, SteadyClock::time_point until,
                           const Cancelled& cancelled) {
  SPHERE_TRY_ASSIGN(auto client, http::make_client(endpoint_of(status)));
  RestClient rest{std::move(client)};
  rest.set_cancelled(cancelled);
  while (true) {
    auto uptime = rest.uptime_seconds();
    if (uptime) {
      return {};
    }
    if (uptime.error().code() == Errc::cancelled || SteadyClock::now() >= until ||
        running_pid(status.directory) == 0) {
      return tl::make_unexpected(std::move(uptime).error());
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace

VirtualBoards::VirtualBoards(UserDirectories directories, crypto::KeyStore& key_store,
                             fs::path sdk_directory)
    : directories_{std::move(directories)},
      key_store_{&key_store},
      sdk_directory_{std::move(sdk_directory)} {}

// A board is of a kind the SDK has a hardware definition of; without an SDK any well-formed id is
// taken, and sphere-board has the last word.
Result<void> VirtualBoards::check_board_id(const std::string& board_id) const {
  const bool clean =
      !board_id.empty() && board_id.size() <= 64 && std::ranges::all_of(board_id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      });
  std::vector<std::string> known;
  std::error_code ec;
  const fs::path definitions = sdk_directory_ / "HardwareDefinitions";
  for (fs::directory_iterator entry{definitions, ec}, end; !ec && entry != end;
       entry.increment(ec)) {
    if (entry->path().extension() == ".json") {
      std::string id = entry->path().stem().string();
      std::ranges::replace(id, '_', '-');
      known.push_back(std::move(id));
    }
  }
  std::string id = board_id;
  std::ranges::replace(id, '_', '-');
  if (clean && (known.empty() || std::ranges::find(known, id) != known.end())) {
    return {};
  }
  std::ranges::sort(known);
  return fail(Errc::invalid_argument,
              fmt::format("no board is of kind \"{}\"", escape_control(board_id)),
              {.reason = "usage.bad-value",
               .value = board_id,
               .next = known.empty() ? "use small letters, digits and hyphens"
                                     : "use one of " + join(known, ", ")});
}

Result<BoardStatus> VirtualBoards::create(const BoardConfig& config) {
  SPHERE_TRY(check_name(config.name));
  SPHERE_TRY(check_board_id(config.board_id));
  const fs::path target = boards() / config.name;
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(target, ignored))) {
    return board_exists(config.name, target);
  }
  SPHERE_TRY(make_directories(boards(), 0700));
  std::string aside = (boards() / ("." + config.name + "-XXXXXX")).string();
  if (::mkdtemp(aside.data()) == nullptr) {
    return tl::make_unexpected(system_error("make", aside, errno));
  }
  auto filled =
      fill_board_directory(aside, config, *key_store_, directories_.data / "device-api-ca.pem")
          .and_then([&] { return sync_directory(aside); })
          .and_then([&] { return move_into_place(aside, target, config.name); });
  if (!filled) {
    (void)remove_tree(aside);
    return tl::make_unexpected(
        std::move(filled).error().while_doing("creating board " + config.name));
  }
  SPHERE_TRY(sync_directory(boards()));
  return read_status(target, directories_.runtime);
}

Result<std::vector<BoardStatus>> VirtualBoards::list() const {
  std::vector<BoardStatus> list;
  for (const std::string& name : board_names(boards())) {
    SPHERE_TRY_ASSIGN(BoardStatus status, read_status(boards() / name, directories_.runtime));
    list.push_back(std::move(status));
  }
  return list;
}

Result<BoardStatus> VirtualBoards::show(std::string_view name) const {
  SPHERE_TRY(check_name(name));
  std::error_code ignored;
  if (!fs::exists(boards() / name / "board.json", ignored)) {
    const std::vector<std::string> names = board_names(boards());
    const std::vector<std::string> near = nearest(name, names);
    return fail(Errc::not_found, fmt::format("no board is named {}", name),
                {.reason = "link.no-board",
                 .value = std::string{name},
                 .next = near.empty() ? fmt::format("create it: sphere board create {}", name)
                                      : "did you mean " + join(near, ", ") + "?"});
  }
  return read_status(boards() / name, directories_.runtime);
}

Result<BoardStatus> VirtualBoards::start(std::string_view name, std::chrono::seconds limit,
                                         const Cancelled& cancelled) {
  const auto until = SteadyClock::now() + limit;
  SPHERE_TRY_ASSIGN(BoardStatus status, show(name));
  SPHERE_TRY_ASSIGN(const FileLock control, take_control(status.directory, until, cancelled));
  SPHERE_TRY_ASSIGN(status, show(name));
  bool launched = false;
  if (status.pid == 0) {
    SPHERE_TRY(launch(status, sdk_directory_, directories_.runtime, until, cancelled));
    launched = true;
    SPHERE_TRY_ASSIGN(status, show(name));
  }
  if (status.broken) {
    return status;  // Its loader listens.
  }
  if (auto answered = wait_for_rest(status, until, cancelled); !answered) {
    if (launched) {
      (void)end_board(status.directory, std::chrono::seconds{5});
    }
    return tl::make_unexpected(
        std::move(answered).error().while_doing(fmt::format("starting board {}", name)));
  }
  return show(name);
}

Result<BoardStatus> VirtualBoards::stop(std::string_view name, std::chrono::seconds limit) {
  SPHERE_TRY_ASSIGN(const BoardStatus status, show(name));
  SPHERE_TRY_ASSIGN(const FileLock control,
                    take_control(status.directory, SteadyClock::now() + limit, {}));
  SPHERE_TRY(end_board(status.directory, limit));
  return show(name);
}

Result<BoardStatus> VirtualBoards::inject_fault(std::string_view name,
                                                std::span<const std::string> faults,
                                                std::chrono::seconds limit) {
  SPHERE_TRY_ASSIGN(const BoardStatus status, show(name));
  SPHERE_TRY_ASSIGN(const FileLock control,
                    take_control(status.directory, SteadyClock::now() + limit, {}));
  SPHERE_TRY(end_board(status.directory, limit));
  SPHERE_TRY(break_board(status.directory, faults, *key_store_));
  return show(name);
}

Result<void> VirtualBoards::remove(std::string_view name) {
  SPHERE_TRY_ASSIGN(const BoardStatus status, show(name));
  SPHERE_TRY_ASSIGN(const FileLock control, take_control(status.directory, SteadyClock::now(), {}));
  if (running_pid(status.directory) != 0) {
    return fail(Errc::busy, fmt::format("board {} is running", name),
                {.reason = "link.busy",
                 .value = std::to_string(status.pid),
                 .next = fmt::format("stop it first: sphere board stop {}", name)});
  }
  // Gone in one step, whatever stops us afterwards.
  std::string aside = (boards() / fmt::format(".{}-deleted-XXXXXX", name)).string();
  if (::mkdtemp(aside.data()) == nullptr) {
    return tl::make_unexpected(system_error("make", aside, errno));
  }
  if (std::rename(status.directory.c_str(), (fs::path{aside} / "board").c_str()) != 0) {
    const int number = errno;
    (void)remove_tree(aside);
    return tl::make_unexpected(system_error("remove", status.directory, number));
  }
  SPHERE_TRY(sync_directory(boards()));
  if (!status.rest_socket.empty()) {
    SPHERE_TRY(remove_tree(status.rest_socket.parent_path()));
  }
  return remove_tree(aside);
}

}  // namespace sphere::device
