// SPDX-License-Identifier: MIT
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
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

struct Port {
  std::uint16_t number;
  std::string_view use;
};
constexpr std::array kPorts = {Port{.number = 48938, .use = "local device service"},
                               Port{.number = 2342, .use = "app output"},
                               Port{.number = 2345, .use = "app debugger"}};
constexpr std::size_t kLargestTable = std::size_t{4} << 20U;

// The inode of the socket that listens at `port`, from the kernel's table; "" when none does.
std::string listening_inode(std::uint16_t port) {
  constexpr std::size_t kLocal = 1;
  constexpr std::size_t kState = 3;
  constexpr std::size_t kInode = 9;
  const auto table = read_text_file("/proc/net/tcp", kLargestTable);
  if (!table) {
    return {};
  }
  const std::string end = fmt::format(":{:04X}", port);
  for (const std::string& line : split(*table, '\n')) {
    auto fields = split(line, ' ');
    std::erase(fields, "");
    if (fields.size() > kInode && fields[kLocal].ends_with(end) && fields[kState] == "0A") {
      return fields[kInode];
    }
  }
  return {};
}

bool holds(const std::filesystem::path& process, const std::string& socket) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry{process / "fd", error}, end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(entry->path(), ignored) == socket) {
      return true;
    }
  }
  return false;
}

// "process 123 (name)", as far as this user may see it.
std::string holder_of(std::uint16_t port) {
  constexpr std::size_t kLargestName = 64;
  const auto inode = listening_inode(port);
  if (inode.empty()) {
    return "another process";
  }
  const std::string socket = fmt::format("socket:[{}]", inode);
  std::error_code error;
  for (std::filesystem::directory_iterator entry{"/proc", error}, end; !error && entry != end;
       entry.increment(error)) {
    const std::string pid = entry->path().filename().string();
    const bool is_process = std::ranges::all_of(pid, [](char c) { return c >= '0' && c <= '9'; });
    if (is_process && holds(entry->path(), socket)) {
      const auto name = read_text_file(entry->path() / "comm", kLargestName);
      return fmt::format("process {} ({})", pid, name ? trim(*name) : "?");
    }
  }
  return "a process of another user";
}

Check port_check(const Port& port) {
  Check check{.name = fmt::format("ports: {}", port.number),
              .verdict = Verdict::ok,
              .detail = fmt::format("free for the {}", port.use)};
  const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.number);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return check;
  }
  if (errno == EADDRINUSE) {
    check.verdict = Verdict::warn;
    check.detail = fmt::format("taken by {}", holder_of(port.number));
    check.next = fmt::format("end it when the {} is wanted", port.use);
  } else {
    check.verdict = Verdict::skip;
    check.detail = std::generic_category().message(errno);
  }
  return check;
}

}  // namespace

std::vector<Check> check_ports(Context& /*context*/) {
  std::vector<Check> checks;
  checks.reserve(kPorts.size());
  for (const Port& port : kPorts) {
    checks.push_back(port_check(port));
  }
  return checks;
}

}  // namespace sphere::cli::doctor
