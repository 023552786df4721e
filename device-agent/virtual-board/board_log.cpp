// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/board_log.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {
namespace fs = std::filesystem;
namespace {

Descriptor open_for_appending(const fs::path& path) {
  return Descriptor{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
}

}  // namespace

Result<BoardLog> BoardLog::open(const fs::path& path, const Clock& clock) {
  auto file = open_for_appending(path);
  struct stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return tl::unexpected<Error>{system_error("open", path, errno)};
  }
  return BoardLog{path, std::move(file), static_cast<std::size_t>(status.st_size), clock};
}

BoardLog::BoardLog(fs::path path, Descriptor file, std::size_t size, const Clock& clock)
    : path_{std::move(path)}, file_{std::move(file)}, size_{size}, clock_{&clock} {}

void BoardLog::say(std::string_view text) {
  write_line(fmt::format("{} sphere-board: {}", to_rfc3339(clock_->unix_seconds()), text));
}

void BoardLog::add_output(std::string_view piece) {
  while (!piece.empty()) {
    const auto end = piece.find('\n');
    const auto part = piece.substr(0, end);
    const auto room = kLongestLine - pending_.size();
    pending_.append(part.substr(0, room));
    if (part.size() < room && end == std::string_view::npos) {
      return;  // The line goes on in the next piece.
    }
    piece.remove_prefix(part.size() < room ? end + 1 : room);
    end_output();
  }
}

void BoardLog::end_output() {
  if (!pending_.empty()) {
    write_line(pending_);
    const auto line = std::exchange(pending_, {});
    if (!line.starts_with("sphered: next:")) {
      last_line_ = line;
    }
  }
}

void BoardLog::write_line(std::string_view line) {
  const auto text = fmt::format("{}\n", line);
  if (size_ + text.size() > kLimit) {
    if (std::rename(path_.c_str(), (path_.string() + ".1").c_str()) == 0) {
      if (auto fresh = open_for_appending(path_)) {
        file_ = std::move(fresh);
        size_ = 0;
      }
    } else if (::ftruncate(file_.get(), 0) == 0) {
      size_ = 0;
    }
  }
  if (write_all(file_.get(), std::as_bytes(std::span{text}), path_)) {
    size_ += text.size();
  }
}

}  // namespace sphere::virtual_board
