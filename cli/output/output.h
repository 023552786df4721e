// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::cli {

// A column of the table and tsv forms: a key of the row object under a heading.
struct Column {
  std::string_view key;      // "componentId"
  std::string_view heading;  // "Component ID"
};

// What a command returns. Commands never print: cli/output renders this in the form the user asked
// for (table, json, jsonc, yaml, tsv, none).
struct Output {
  json::Value data = {};             // Object, or array of objects.
  std::vector<Column> columns = {};  // Order of table and tsv; empty: the keys of the data.
  // What the table form prints instead of columns: a sentence of an action, or a laid-out text.
  std::string text = {};
  // `text` is what the command is for (a script): printed in a pipe too, unless a form was asked
  // for.
  bool text_by_default = false;
  // Set: `data` is not used; rows are rendered one by one as the function gives them (json: one
  // compact object a line). `text_of` gives the table form of a row.
  using RowSink = std::function<bool(const json::Value& row)>;
  std::function<Result<void>(const RowSink& sink)> stream = {};
  std::function<std::string(const json::Value& row)> text_of = {};
  // The rows are the items of one list: the json forms are one value, whose items come one by one.
  bool stream_is_list = false;
  // Filled by `stream` before it returns.
  struct StreamEnd {
    std::string text = {};        // The last line of the table form.
    bool verdict_failed = false;  // As below.
  };
  std::shared_ptr<StreamEnd> stream_end = {};
  // The command did its work and its verdict is "no" (verify, test-header, doctor): exit status 1.
  bool verdict_failed = false;
};

}  // namespace sphere::cli
