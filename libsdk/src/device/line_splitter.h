// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "sphere/core/result.h"

namespace sphere::device {

// Cuts a stream into lines. A line longer than `limit` is an error: nobody may make us collect
// without end.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t limit = std::size_t{64} * 1024) : limit_{limit} {}

  // Gives each complete, non-empty line to `take`; false from it ends the call early with false.
  // Errors: too_large, and those of `take`.
  [[nodiscard]] Result<bool> add(std::string_view piece,
                                 const std::function<Result<bool>(std::string_view)>& take);

 private:
  std::size_t limit_;
  std::string rest_;
};

}  // namespace sphere::device
