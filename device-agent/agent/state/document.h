// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <utility>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// One JSON file of the board's settings. save() replaces it in one step and returns when the new
// content is on stable storage, so that a power cut leaves the old or the new one.
class Document {
 public:
  explicit Document(std::filesystem::path path) : path_{std::move(path)} {}

  // What the file holds; null when it is not there. A file that is no JSON is put aside as
  // `<name>.damaged` (a person may look at it) and reads as null. So does one that cannot be read
  // at all, which stays as it is.
  [[nodiscard]] json::Value load() const;
  // Errors: as system_error(); io when load() could not read what is there and would be lost.
  [[nodiscard]] Result<void> save(const json::Value& value) const;

 private:
  std::filesystem::path path_;
  mutable bool is_unreadable_ = false;  // Since the last load().
};

}  // namespace sphere::agent
