// SPDX-License-Identifier: MIT
#include "libsdk/src/hardware/diff.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace sphere::hardware {
namespace {

constexpr std::size_t kContext = 3;
constexpr std::size_t kMostCells = std::size_t{4} * 1024 * 1024;  // Of the table, 2 bytes each.

struct Edit {
  char kind;  // ' ', '-' or '+'
  std::string_view line;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

using Lines = std::vector<std::string_view>;

// Length of the longest common subsequence of a[i...] and b[j...], for every i and j; empty when
// the table would be too large.
class Table {
 public:
  Table(const Lines& a, const Lines& b) : width_{b.size() + 1} {
    if (a.size() >= UINT16_MAX || (a.size() + 1) * width_ > kMostCells) {
      return;
    }
    cells_.resize((a.size() + 1) * width_);
    for (std::size_t i = a.size(); i-- > 0;) {
      for (std::size_t j = b.size(); j-- > 0;) {
        const auto diagonal = static_cast<std::uint16_t>(at(i + 1, j + 1) + 1);
        cells_[(i * width_) + j] = a[i] == b[j] ? diagonal : std::max(at(i + 1, j), at(i, j + 1));
      }
    }
  }

  [[nodiscard]] bool empty() const { return cells_.empty(); }
  [[nodiscard]] std::uint16_t at(std::size_t i, std::size_t j) const {
    return cells_[(i * width_) + j];
  }

 private:
  std::size_t width_;
  std::vector<std::uint16_t> cells_;
};

// Edits of the part between the common lines at the front and at the end.
void add_middle(const Lines& a, const Lines& b, std::vector<Edit>& edits) {
  const Table common{a, b};
  std::size_t i = 0;
  std::size_t j = 0;
  while (!common.empty() && i < a.size() && j < b.size()) {
    if (a[i] == b[j]) {
      edits.push_back({' ', a[i++]});
      ++j;
    } else if (common.at(i + 1, j) >= common.at(i, j + 1)) {
      edits.push_back({'-', a[i++]});
    } else {
      edits.push_back({'+', b[j++]});
    }
  }
  for (; i < a.size(); ++i) {
    edits.push_back({'-', a[i]});
  }
  for (; j < b.size(); ++j) {
    edits.push_back({'+', b[j]});
  }
}

std::vector<Edit> edits_of(const Lines& a, const Lines& b) {
  std::size_t front = 0;
  const std::size_t shorter = std::min(a.size(), b.size());
  while (front < shorter && a[front] == b[front]) {
    ++front;
  }
  std::size_t back = 0;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) {
    ++back;
  }
  const auto middle = [&](const Lines& lines) {
    return Lines(lines.begin() + static_cast<std::ptrdiff_t>(front),
                 lines.end() - static_cast<std::ptrdiff_t>(back));
  };
  std::vector<Edit> edits;
  edits.reserve(a.size() + b.size());
  for (std::size_t i = 0; i < front; ++i) {
    edits.push_back({' ', a[i]});
  }
  add_middle(middle(a), middle(b), edits);
  for (std::size_t i = a.size() - back; i < a.size(); ++i) {
    edits.push_back({' ', a[i]});
  }
  return edits;
}

// End of the hunk that begins with the change at `first`: changes closer than twice the context
// stand in one hunk.
std::size_t hunk_end(const std::vector<Edit>& edits, std::size_t first) {
  std::size_t last = first;
  for (std::size_t i = first; i < edits.size() && i <= last + (2 * kContext) + 1; ++i) {
    last = edits[i].kind == ' ' ? last : i;
  }
  return std::min(last + 1 + kContext, edits.size());
}

// "12,3"; the line before an empty range, as diff(1) counts.
std::string range_text(std::size_t first, std::size_t count) {
  return fmt::format("{},{}", count == 0 ? first - 1 : first, count);
}

struct Position {
  std::size_t before = 1, after = 1;
  void pass(const Edit& edit) {
    before += edit.kind == '+' ? 0 : 1;
    after += edit.kind == '-' ? 0 : 1;
  }
};

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after,
                         std::string_view before_name, std::string_view after_name) {
  if (before == after) {
    return {};
  }
  const auto edits = edits_of(lines_of(before), lines_of(after));
  std::string result = fmt::format("--- {}\n+++ {}\n", before_name, after_name);
  Position position;
  std::size_t passed = 0;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (edits[i].kind == ' ' || i < passed) {
      continue;
    }
    const std::size_t start = std::max(passed, i - std::min(i, kContext));
    for (; passed < start; ++passed) {
      position.pass(edits[passed]);
    }
    const auto first = position;
    std::string body;
    for (const std::size_t end = hunk_end(edits, i); passed < end; ++passed) {
      position.pass(edits[passed]);
      body += fmt::format("{}{}\n", edits[passed].kind, edits[passed].line);
    }
    result +=
        fmt::format("@@ -{} +{} @@\n{}", range_text(first.before, position.before - first.before),
                    range_text(first.after, position.after - first.after), body);
  }
  return result;
}

}  // namespace sphere::hardware
