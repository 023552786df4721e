// SPDX-License-Identifier: MIT
#include <cstring>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/doctor/check.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"

namespace sphere::cli::doctor {
namespace {

// Whether somebody accepts connections at a Unix socket.
bool answers(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    return false;
  }
  std::memcpy(static_cast<char*>(address.sun_path), text.data(), text.size());
  const Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

// Where a running board listens. A board whose usual place would make too long a name for a socket
// notes another one in its directory.
std::filesystem::path socket_of(const std::filesystem::path& board, const Context& context) {
  constexpr std::size_t kLongestPath = 4096;
  const auto noted = read_text_file(board / "runtime-directory", kLongestPath);
  const auto directory = noted ? std::filesystem::path{trim(*noted)}
                               : context.directories.runtime / "boards" / board.filename();
  return directory / "rest.sock";
}

}  // namespace

std::vector<Check> check_device(Context& context) {
  std::vector<Check> checks;
  bool any_runs = false;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{context.directories.state / "boards", error}, end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (!std::filesystem::exists(entry->path() / "board.json", ignored)) {
      continue;
    }
    const bool runs = answers(socket_of(entry->path(), context));
    any_runs = any_runs || runs;
    checks.push_back({.name = fmt::format("device: vb-{}", name),
                      .verdict = runs ? Verdict::ok : Verdict::skip,
                      .detail = runs ? "accepts connections" : "does not run",
                      .next = runs ? "" : fmt::format("sphere board start {}", name)});
  }
  if (any_runs) {
    const auto rungs = net_checks(context, "doctor device", "device");
    checks.insert(checks.end(), rungs.begin(), rungs.end());
  }
  if (checks.empty()) {
    checks.push_back({.name = "device: virtual boards",
                      .verdict = Verdict::skip,
                      .detail = "there is none",
                      .next = "sphere board create demo"});
  }
  return checks;
}

}  // namespace sphere::cli::doctor
