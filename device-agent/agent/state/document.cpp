// SPDX-License-Identifier: MIT
#include "device-agent/agent/state/document.h"

#include <cstddef>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kLargest = std::size_t{4} << 20U;

}  // namespace

json::Value Document::load() const {
  const auto text = read_text_file(path_, kLargest);
  is_unreadable_ = !text && text.error().code() != Errc::not_found;
  if (!text) {
    return {};
  }
  auto value = json::parse(*text, {.bytes = kLargest});
  if (!value) {
    auto aside = path_;
    aside += ".damaged";
    std::error_code ignored;
    std::filesystem::rename(path_, aside, ignored);
    return {};
  }
  return *std::move(value);
}

Result<void> Document::save(const json::Value& value) const {
  if (is_unreadable_) {
    return fail(Errc::io, fmt::format("{} could not be read and is not replaced", path_.string()),
                {.reason = "local.file-unreadable",
                 .value = path_.string(),
                 .next = "move the file away, then restart the board"});
  }
  SPHERE_TRY(make_directories(path_.parent_path(), 0700));
  return write_file(path_, json::to_compact(value) + "\n", {.mode = 0600});
}

}  // namespace sphere::agent
