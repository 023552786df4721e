// SPDX-License-Identifier: MIT
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/package_view.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_diff.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

using image::Change;
using image::Difference;
using Part = image::Difference::Part;

std::string_view change_name(Change change) {
  switch (change) {
    case Change::added:
      return "added";
    case Change::removed:
      return "removed";
    case Change::changed:
      break;
  }
  return "changed";
}

std::string_view part_name(Part part) {
  switch (part) {
    case Part::file:
      return "file";
    case Part::body:
      return "body";
    case Part::metadata:
      break;
  }
  return "metadata";
}

// What lies at `offset` of the body.
std::string place_name(const image::Package& package, std::uint64_t offset) {
  constexpr std::uint64_t kSuperblock = 76;
  const auto& files = package.files;
  if (files.body == nullptr) {
    return {};
  }
  if (offset < kSuperblock) {
    return ", in the superblock";
  }
  if (offset < files.directory_area->size()) {
    return ", in the directories";
  }
  for (const auto& file : files.files) {
    if (offset >= file.offset && offset - file.offset < file.size) {
      return fmt::format(", in /{}", escape_control(file.path));
    }
  }
  return ", in padding";
}

std::string quoted(const std::string& text) { return text.empty() ? "-" : escape_control(text); }

std::string offset_text(const Difference::Place& place) {
  return place.before == place.after
             ? fmt::format("offset {} (package: {})", place.offset, place.before)
             : fmt::format("offset {} (packages: {}, {})", place.offset, place.before, place.after);
}

// "  changed  Debug, Name: golden -> other"
std::string difference_line(const Difference& difference, const image::Package& before) {
  auto text = fmt::format("  {:<9}", change_name(difference.change));
  std::string what = difference.label;
  if (difference.part == Part::metadata && difference.name.size() == 2) {
    const auto section = image::section_name({difference.name[0], difference.name[1]});
    what =
        fmt::format("{}, {}", section.empty() ? "Section " + difference.name : std::string{section},
                    difference.label);
  } else if (difference.part == Part::file) {
    what = fmt::format("{}, {}", escape_control(difference.name), to_lower(difference.label));
  }
  text += what + ":";
  if (!difference.before.empty() || !difference.after.empty()) {
    text += difference.change == Change::changed
                ? fmt::format(" {} -> {}", quoted(difference.before), quoted(difference.after))
                : " " + quoted(difference.change == Change::added ? difference.after
                                                                  : difference.before);
  }
  if (const auto& first = difference.first) {
    text += difference.part == Part::body
                ? fmt::format(" first difference at offset {}{}", first->offset,
                              place_name(before, first->offset))
                : " first difference at " + offset_text(*first);
  }
  return text + "\n";
}

std::string_view heading_of(Part part) {
  switch (part) {
    case Part::file:
      return "Files";
    case Part::body:
      return "Body";
    case Part::metadata:
      break;
  }
  return "Metadata";
}

std::string to_text(const image::PackageDiff& diff, const image::Package& before) {
  std::string text;
  std::optional<Part> part;
  for (const auto& difference : diff.differences) {
    if (part != difference.part) {
      part = difference.part;
      text += fmt::format("{}\n", heading_of(*part));
    }
    text += difference_line(difference, before);
  }
  text += diff.same_signature ? "The signatures are the same.\n"
                              : "The signatures differ, which is not counted.\n";
  const auto count = diff.differences.size();
  text += count == 0 ? "The packages are equal.\n"
                     : fmt::format("{} difference{}.\n", count, count == 1 ? "" : "s");
  return text;
}

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value{} : json::Value{text};
}

json::Value to_value(const Difference& difference) {
  json::Value value;
  value.set("part", part_name(difference.part))
      .set("change", change_name(difference.change))
      .set("name", text_or_null(difference.name))
      .set("field", difference.field)
      .set("before", text_or_null(difference.before))
      .set("after", text_or_null(difference.after));
  const auto& first = difference.first;
  value.set("offset", first ? json::Value{first->offset} : json::Value{})
      .set("packageOffsetBefore", first ? json::Value{first->before} : json::Value{})
      .set("packageOffsetAfter", first ? json::Value{first->after} : json::Value{});
  return value;
}

}  // namespace

Result<Output> run_diff_packages(Context& /*context*/, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto before, open_with_files(arguments.positional(0)));
  SPHERE_TRY_ASSIGN(const auto after, open_with_files(arguments.positional(1)));
  SPHERE_TRY_ASSIGN(const auto diff, image::diff_packages(before, after));
  json::Value list = json::Array{};
  for (const auto& difference : diff.differences) {
    list.push(to_value(difference));
  }
  Output output{.text = to_text(diff, before), .verdict_failed = !diff.differences.empty()};
  output.data.set("before", arguments.positional(0))
      .set("after", arguments.positional(1))
      .set("equal", diff.differences.empty())
      .set("sameSignature", diff.same_signature)
      .set("differences", std::move(list));
  return output;
}

}  // namespace sphere::cli
