// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output/output.h"
#include "sphere/device/rest_client.h"

namespace sphere::cli {

enum class Format : std::uint8_t { table, json, jsonc, yaml, tsv, none };

[[nodiscard]] std::optional<Format> parse_format(std::string_view text);

struct RenderOptions {
  Format format = Format::json;
  std::size_t width = 0;    // Columns of the terminal; 0: nothing is cut.
  bool color = false;       // For jsonc.
  bool old_tables = false;  // Lists stand between lines of dashes, under a line of '='.
};

// A whole result as text with a line feed at its end; "" when there is nothing to print.
// `output.stream` is not looked at.
[[nodiscard]] std::string render(const Output& output, const RenderOptions& options);

// One row of a stream.
[[nodiscard]] std::string render_row(const Output& output, const json::Value& row,
                                     const RenderOptions& options);

// The text of a stream, row by row. The rows of a list (Output::stream_is_list) stand between
// brackets in the json forms, so that the whole is one value whenever it ends.
class StreamText {
 public:
  // Both must outlive this.
  StreamText(const Output& output, const RenderOptions& options)
      : output_{&output}, options_{&options} {}
  [[nodiscard]] std::string row(const json::Value& row);
  // After the last row.
  [[nodiscard]] std::string end() const;

 private:
  [[nodiscard]] bool is_json_list() const;

  const Output* output_;
  const RenderOptions* options_;
  bool is_first_ = true;
};

// {"error": {...}} of cli.md 5; what is absent is null.
[[nodiscard]] json::Value error_value(const Error& error, std::string_view needs,
                                      const std::optional<device::DeviceError>& device_error);

// Its "code", "message", "value" and "next" alone, for one row among others.
[[nodiscard]] json::Value short_error_value(const Error& error);

// The forms by themselves.
[[nodiscard]] std::string to_yaml(const json::Value& value);
[[nodiscard]] std::string to_table(const Output& output, std::size_t width, bool old_style = false);
[[nodiscard]] std::string to_tsv(const Output& output);
[[nodiscard]] std::string to_colored_json(const json::Value& value);

// The columns that table and tsv show: those of the output, else the keys of its data.
struct ShownColumn {
  std::string key;
  std::string heading;
};
[[nodiscard]] std::vector<ShownColumn> shown_columns(const Output& output);
// A cell: strings as they are, null as "", simple lists with commas, objects and other lists as
// compact JSON.
[[nodiscard]] std::string cell_text(const json::Value* value);

}  // namespace sphere::cli
