// SPDX-License-Identifier: MIT
#include "cli/output/render.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/exit_status.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/rest_client.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

std::string with_line_feed(std::string text) {
  if (!text.empty() && text.back() != '\n') {
    text.push_back('\n');
  }
  return text;
}

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value{} : json::Value{text};
}

}  // namespace

std::optional<Format> parse_format(std::string_view text) {
  if (text == "table") {
    return Format::table;
  }
  if (text == "json") {
    return Format::json;
  }
  if (text == "jsonc") {
    return Format::jsonc;
  }
  if (text == "yaml") {
    return Format::yaml;
  }
  if (text == "tsv") {
    return Format::tsv;
  }
  if (text == "none") {
    return Format::none;
  }
  return std::nullopt;
}

std::vector<ShownColumn> shown_columns(const Output& output) {
  std::vector<ShownColumn> columns;
  for (const Column& column : output.columns) {
    columns.push_back({std::string{column.key}, std::string{column.heading}});
  }
  if (!columns.empty()) {
    return columns;
  }
  const auto add_keys = [&columns](const json::Value& row) {
    for (const json::Member& member : row.members()) {
      if (std::ranges::none_of(
              columns, [&member](const ShownColumn& column) { return column.key == member.key; })) {
        columns.push_back({member.key, member.key});
      }
    }
  };
  add_keys(output.data);
  for (const json::Value& row : output.data.items()) {
    add_keys(row);
  }
  return columns;
}

std::string cell_text(const json::Value* value) {
  if (value == nullptr || value->is_null()) {
    return {};
  }
  const auto is_simple = [](const json::Value& item) {
    return item.kind() != json::Kind::array && item.kind() != json::Kind::object;
  };
  if (value->kind() == json::Kind::array && std::ranges::all_of(value->items(), is_simple)) {
    std::vector<std::string> items;
    for (const json::Value& item : value->items()) {
      items.push_back(cell_text(&item));
    }
    return join(items, ", ");
  }
  const std::string* text = value->string();
  return text != nullptr ? *text : json::to_compact(*value);
}

std::string render(const Output& output, const RenderOptions& options) {
  switch (options.format) {
    case Format::table:
      return with_line_feed(
          output.text.empty() ? to_table(output, options.width, options.old_tables) : output.text);
    case Format::json:
      return with_line_feed(json::to_pretty(output.data));
    case Format::jsonc:
      return with_line_feed(options.color ? to_colored_json(output.data)
                                          : json::to_pretty(output.data));
    case Format::yaml:
      return with_line_feed(to_yaml(output.data));
    case Format::tsv:
      return to_tsv(output);
    case Format::none:
      break;
  }
  return {};
}

std::string render_row(const Output& output, const json::Value& row, const RenderOptions& options) {
  Output one{.columns = output.columns};
  switch (options.format) {
    case Format::table:
      return with_line_feed(output.text_of ? output.text_of(row)
                                           : escape_control(json::to_compact(row)));
    case Format::json:
    case Format::jsonc:
      return with_line_feed(json::to_compact(row));
    case Format::yaml:
      one.data.push(row);
      return with_line_feed(to_yaml(one.data));
    case Format::tsv:
      one.data.push(row);
      return to_tsv(one);
    case Format::none:
      break;
  }
  return {};
}

bool StreamText::is_json_list() const {
  return output_->stream_is_list &&
         (options_->format == Format::json || options_->format == Format::jsonc);
}

std::string StreamText::row(const json::Value& row) {
  const bool is_first = std::exchange(is_first_, false);
  if (!is_json_list()) {
    return render_row(*output_, row, *options_);
  }
  return (is_first ? "[\n  " : ",\n  ") + json::to_compact(row);
}

std::string StreamText::end() const {
  if (is_json_list()) {
    return is_first_ ? "[]\n" : "\n]\n";
  }
  if (output_->stream_is_list && options_->format == Format::yaml && is_first_) {
    return "[]\n";
  }
  return options_->format == Format::table && output_->stream_end
             ? with_line_feed(output_->stream_end->text)
             : std::string{};
}

json::Value short_error_value(const Error& error) {
  json::Value body;
  body.set("code", reason_of(error));
  body.set("message", error.message());
  body.set("value", text_or_null(error.hint().value));
  body.set("next", text_or_null(error.hint().next));
  return body;
}

json::Value error_value(const Error& error, std::string_view needs,
                        const std::optional<device::DeviceError>& device_error) {
  auto body = short_error_value(error);
  body.set("needs", needs);
  json::Value device;
  if (device_error) {
    device.set("code", static_cast<std::int64_t>(device_error->code));
    const auto* const known = device_api::find_error(device_error->code);
    device.set("name", known != nullptr ? std::string{known->name}
                                        : device_api::error_name(device_error->code));
    device.set("status", device_error->status);
  }
  body.set("deviceError", device);
  body.set("serviceError", {});
  body.set("steps", {});
  body.set("log", {});
  json::Value result;
  result.set("error", body);
  return result;
}

}  // namespace sphere::cli
