// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/output/output.h"
#include "cli/output/render.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

using Row = std::vector<std::string>;

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastCut = 8;  // A cell is not cut below this width.

// Columns that a text takes, counted in characters.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string cut_to(std::string_view text, std::size_t width) {
  if (width_of(text) <= width) {
    return std::string{text};
  }
  std::size_t bytes = 0;
  for (std::size_t taken = 0; bytes < text.size(); ++bytes) {
    const bool starts = (static_cast<unsigned char>(text[bytes]) & 0xC0U) != 0x80U;
    if (starts && ++taken > width - 3) {
      break;
    }
  }
  return fmt::format("{}...", text.substr(0, bytes));
}

std::vector<std::size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  return widths;
}

// Makes the widest columns narrower until a row fits the terminal.
void fit(std::vector<std::size_t>& widths, std::size_t terminal) {
  while (true) {
    std::size_t total = kGap * (widths.size() - 1);
    for (const std::size_t width : widths) {
      total += width;
    }
    auto widest = std::ranges::max_element(widths);
    if (total <= terminal || *widest <= kLeastCut) {
      return;
    }
    *widest -= std::min(total - terminal, *widest - kLeastCut);
  }
}

std::string lay_out(const Row& row, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string cell = cut_to(row[i], widths[i]);
    line += cell + std::string(widths[i] + kGap - width_of(cell), ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

// Lines of dashes around the table, a line of '=' below its headings.
std::string old_table(const std::vector<Row>& rows, const std::vector<std::size_t>& widths) {
  std::size_t total = kGap * (widths.size() - 1);
  for (const std::size_t width : widths) {
    total += width;
  }
  const std::string dashes = std::string(total, '-') + "\n";
  std::string result = dashes + lay_out(rows.front(), widths) + std::string(total, '=') + "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    result += lay_out(rows[i], widths);
  }
  return result + dashes;
}

std::string object_lines(const json::Value& data, const std::vector<ShownColumn>& columns) {
  std::string result;
  for (const ShownColumn& column : columns) {
    const std::string text = escape_control(cell_text(data.find(column.key)));
    result +=
        fmt::format("{}:{}{}\n", escape_control(column.heading), text.empty() ? "" : " ", text);
  }
  return result;
}

}  // namespace

std::string to_table(const Output& output, std::size_t width, bool old_style) {
  const auto columns = shown_columns(output);
  if (output.data.kind() != json::Kind::array) {
    return columns.empty() ? escape_control(cell_text(&output.data))
                           : object_lines(output.data, columns);
  }
  if (columns.empty()) {  // A list of plain values, or an empty one.
    std::string result;
    for (const json::Value& item : output.data.items()) {
      result += escape_control(cell_text(&item)) + "\n";
    }
    return result;
  }
  std::vector<Row> rows(1);
  for (const ShownColumn& column : columns) {
    rows.front().push_back(escape_control(column.heading));
  }
  for (const json::Value& item : output.data.items()) {
    Row& row = rows.emplace_back();
    for (const ShownColumn& column : columns) {
      row.push_back(escape_control(cell_text(item.find(column.key))));
    }
  }
  auto widths = widths_of(rows);
  if (width > 0) {
    fit(widths, width);
  }
  if (old_style) {
    return old_table(rows, widths);
  }
  Row dashes;
  for (const std::size_t column : widths) {
    dashes.emplace_back(column, '-');
  }
  std::string result = lay_out(rows.front(), widths) + lay_out(dashes, widths);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    result += lay_out(rows[i], widths);
  }
  return result;
}

}  // namespace sphere::cli
