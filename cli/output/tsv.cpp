// SPDX-License-Identifier: MIT
#include <string>
#include <string_view>

#include "cli/output/output.h"
#include "cli/output/render.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

// Tab, line feed and backslash have their own spelling, other control characters \xNN.
std::string tsv_cell(std::string_view text) {
  std::string result;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const std::string_view spelling = i == text.size()  ? ""
                                      : text[i] == '\t' ? "\\t"
                                      : text[i] == '\n' ? "\\n"
                                      : text[i] == '\\' ? "\\\\"
                                                        : "";
    if (spelling.empty() && i < text.size()) {
      continue;
    }
    result += escape_control(text.substr(start, i - start));
    result += spelling;
    start = i + 1;
  }
  return result;
}

std::string row_line(const json::Value& row, const std::vector<ShownColumn>& columns) {
  if (columns.empty()) {
    return row.is_null() ? std::string{} : tsv_cell(cell_text(&row)) + "\n";
  }
  std::string line;
  for (const ShownColumn& column : columns) {
    line += (line.empty() && &column == &columns.front() ? "" : "\t") +
            tsv_cell(cell_text(row.find(column.key)));
  }
  return line + "\n";
}

}  // namespace

std::string to_tsv(const Output& output) {
  const auto columns = shown_columns(output);
  if (output.data.kind() != json::Kind::array) {
    return row_line(output.data, columns);
  }
  std::string result;
  for (const json::Value& item : output.data.items()) {
    result += row_line(item, columns);
  }
  return result;
}

}  // namespace sphere::cli
