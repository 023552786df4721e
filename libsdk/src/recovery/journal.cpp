// SPDX-License-Identifier: MIT
#include "sphere/recovery/journal.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::recovery {

namespace {

constexpr std::size_t kLimit = 1024 * 1024;
constexpr mode_t kOwnerOnly = 0700;

// A name that is a file's and nothing else.
std::string file_name(std::string_view board) {
  std::string name{board.substr(0, std::min<std::size_t>(board.size(), 128))};
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-'; }, '_');
  return name + ".jsonl";
}

// The last line that can be read; a run that was cut leaves a torn one behind it.
std::optional<Journal::Last> read_last(const std::filesystem::path& path) {
  const auto text = read_text_file(path, kLimit);
  if (!text) {
    return std::nullopt;
  }
  const auto lines = split(*text, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (const auto value = json::parse(*line); value && value->string_at("step")) {
      return Journal::Last{.set_sha256 = value->string_at("set_sha256").value_or(""),
                           .line = {.step = value->string_at("step").value_or(""),
                                    .image = value->string_at("image").value_or(""),
                                    .offset = static_cast<std::uint64_t>(std::max<std::int64_t>(
                                        value->integer_at("offset").value_or(0), 0)),
                                    .verified = value->boolean_at("verified").value_or(false)}};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<void> Journal::open_file(const std::filesystem::path& path) {
  path_ = path;
  last_ = read_last(path);
  std::error_code ignored;
  // A board that is recovered again and again does not fill the disk.
  const int fresh = std::filesystem::file_size(path, ignored) > kLimit && !ignored ? O_TRUNC : 0;
  file_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | fresh,
                     S_IRUSR | S_IWUSR));
  if (!file_) {
    return tl::make_unexpected(system_error("open", path, errno));
  }
  return {};
}

Result<Journal> Journal::open(const std::filesystem::path& directory, std::string_view board,
                              const crypto::Sha256Digest& set) {
  SPHERE_TRY(make_directories(directory, kOwnerOnly));
  Journal journal;
  journal.directory_ = directory;
  journal.set_ = to_hex(set);
  SPHERE_TRY(journal.open_file(directory / file_name(board)));
  return journal;
}

Result<void> Journal::rename_to(std::string_view device_id) {
  device_ = device_id;
  const auto place = directory_ / file_name(device_id);
  const auto before = read_last(place);
  std::error_code error;
  if (std::filesystem::exists(place, error)) {
    std::filesystem::remove(path_, error);
  } else {
    std::filesystem::rename(path_, place, error);
  }
  SPHERE_TRY(open_file(place));
  last_ = before;
  return sync_directory(directory_);
}

Result<void> Journal::note(const Line& line, std::int64_t unix_seconds) {
  const std::string text = json::to_compact(json::Value{}
                                                .set("device", escape_control(device_))
                                                .set("set_sha256", set_)
                                                .set("step", line.step)
                                                .set("image", line.image)
                                                .set("offset", line.offset)
                                                .set("verified", line.verified)
                                                .set("t", unix_seconds)) +
                           "\n";
  SPHERE_TRY(write_all(file_.get(), std::as_bytes(std::span{text}), path_));
  if (::fsync(file_.get()) != 0) {
    return tl::make_unexpected(system_error("sync", path_, errno));
  }
  return {};
}

}  // namespace sphere::recovery
