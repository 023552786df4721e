// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/project/template.h"

namespace sphere::project {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20U;
constexpr std::size_t kLongestName = 64;
constexpr std::string_view kDescription = "template.json";

// What stands in the files of a template for what differs between projects.
struct PlaceHolder {
  std::string_view text;
  std::string value;
};

bool is_target_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && name.size() <= kLongestName && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) {
           return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
         });
}

// The app's name: what was asked for, else that of the directory.
Result<std::string> project_name(const NewProject& request) {
  if (!request.name.empty()) {
    if (is_target_name(request.name)) {
      return request.name;
    }
    return fail(
        Errc::invalid_argument,
        "an app's name is a letter and up to 63 letters, digits, '-', '_' or '.'",
        {.reason = "usage.bad-value", .value = request.name, .next = "choose another --name"});
  }
  auto path = request.directory.lexically_normal();
  path = path.has_filename() ? path.filename() : path.parent_path().filename();
  if (path == "." || path == ".." || path.empty()) {
    std::error_code error;
    path = std::filesystem::weakly_canonical(request.directory, error).filename();
  }
  if (is_target_name(path.string())) {
    return path.string();
  }
  return fail(Errc::invalid_argument, "the directory's name is no name for an app",
              {.reason = "usage.bad-value", .value = path.string(), .next = "give a --name"});
}

Result<TemplateInfo> find_template(const NewProject& request,
                                   const std::filesystem::path& sdk_directory) {
  SPHERE_TRY_ASSIGN(auto templates, list_templates(sdk_directory));
  std::vector<std::string> names;
  for (TemplateInfo& info : templates) {
    if (info.name == request.template_name) {
      return std::move(info);
    }
    names.push_back(info.name);
  }
  const auto near = nearest(request.template_name, names);
  return fail(Errc::not_found, fmt::format("no template {}", escape_control(request.template_name)),
              {.reason = "usage.bad-value",
               .value = request.template_name,
               .next = near.empty() ? "sphere project list-templates"
                                    : fmt::format("did you mean {}? See sphere project "
                                                  "list-templates",
                                                  join(near, ", "))});
}

Result<void> check_board(const std::string& board, const std::filesystem::path& sdk_directory) {
  const auto folder = sdk_directory / "HardwareDefinitions";
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{folder, error}, end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::exists(entry->path() / "sample_appliance.json", ignored)) {
      names.push_back(entry->path().filename().string());
    }
  }
  if (std::ranges::find(names, board) != names.end()) {
    return {};
  }
  std::ranges::sort(names);
  return fail(Errc::not_found, fmt::format("no board {}", escape_control(board)),
              {.reason = "usage.bad-value",
               .value = board,
               .next = fmt::format("give --board one of: {}", join(names, ", "))});
}

Result<void> check_language(const TemplateInfo& info, const std::string& language) {
  if (std::ranges::find(info.languages, language) != info.languages.end()) {
    return {};
  }
  return fail(Errc::invalid_argument,
              fmt::format("template {} is not offered in {}", info.name, escape_control(language)),
              {.reason = "usage.bad-value",
               .value = language,
               .next = fmt::format("give --language {}", join(info.languages, " or "))});
}

Result<void> check_free(const std::filesystem::path& directory) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(directory, error);
  if (!std::filesystem::exists(status)) {
    return {};
  }
  if (std::filesystem::is_directory(status) && std::filesystem::is_empty(directory, error) &&
      !error) {
    return {};
  }
  return fail(Errc::exists, fmt::format("{} is there and not empty", directory.string()),
              {.reason = "local.file-exists",
               .value = directory.string(),
               .next = "name a directory that does not exist yet"});
}

std::string fill_in(std::string text, const std::vector<PlaceHolder>& place_holders) {
  for (const PlaceHolder& place : place_holders) {
    for (auto at = text.find(place.text); at != std::string::npos;
         at = text.find(place.text, at + place.value.size())) {
      text.replace(at, place.text.size(), place.value);
    }
  }
  return text;
}

Result<void> copy_file(const std::filesystem::path& source, const std::filesystem::path& target,
                       const std::vector<PlaceHolder>& place_holders) {
  SPHERE_TRY_ASSIGN(auto text, read_text_file(source, kLargestFile));
  SPHERE_TRY(make_directories(target.parent_path()));
  return write_file(target, fill_in(std::move(text), place_holders), {.sync = false});
}

// Copies the template's files below `target`; their relative paths, sorted.
Result<std::vector<std::string>> copy_files(const std::filesystem::path& source,
                                            const std::filesystem::path& target,
                                            const std::vector<PlaceHolder>& place_holders) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry{source, error}, end;
       !error && entry != end; entry.increment(error)) {
    const auto relative = entry->path().lexically_relative(source);
    if (relative == kDescription || !entry->is_regular_file(error)) {
      continue;
    }
    SPHERE_TRY(copy_file(entry->path(), target / relative, place_holders));
    files.push_back(relative.generic_string());
  }
  if (error) {
    return tl::make_unexpected(system_error("read", source, error.value()));
  }
  std::ranges::sort(files);
  return files;
}

// The directories that are missing on the way to `path` and `path` itself, the outermost first.
std::vector<std::filesystem::path> missing_directories(std::filesystem::path path) {
  std::vector<std::filesystem::path> missing;
  std::error_code error;
  for (; !path.empty() && !std::filesystem::exists(path, error) && !error;
       path = path.parent_path()) {
    missing.insert(missing.begin(), path);
  }
  return missing;
}

// The template of a request that can be fulfilled.
Result<TemplateInfo> check_request(const NewProject& request,
                                   const std::filesystem::path& sdk_directory) {
  SPHERE_TRY_ASSIGN(auto info, find_template(request, sdk_directory));
  SPHERE_TRY(check_language(info, request.language));
  SPHERE_TRY(check_board(request.board, sdk_directory));
  SPHERE_TRY(check_free(request.directory));
  return info;
}

// A directory beside its place until it is complete.
class Unfinished {
 public:
  Unfinished(std::filesystem::path path, std::vector<std::filesystem::path> parents)
      : path_{std::move(path)}, parents_{std::move(parents)} {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  Unfinished(Unfinished&&) = delete;
  Unfinished& operator=(Unfinished&&) = delete;
  ~Unfinished() {
    if (!moved_) {
      static_cast<void>(remove_tree(path_));  // Best effort: the failure is reported already.
      for (; !parents_.empty(); parents_.pop_back()) {
        std::error_code ignored;
        std::filesystem::remove(parents_.back(), ignored);  // Only while it is empty.
      }
    }
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] Result<void> move_to(const std::filesystem::path& target) {
    SPHERE_TRY(move_directory(path_, target));
    moved_ = true;
    return {};
  }

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> parents_;  // Made for it, the outermost first.
  bool moved_ = false;
};

}  // namespace

Result<std::vector<std::string>> create_project(const NewProject& request,
                                                const std::filesystem::path& sdk_directory) {
  SPHERE_TRY_ASSIGN(const auto name, project_name(request));
  SPHERE_TRY_ASSIGN(const auto info, check_request(request, sdk_directory));
  SPHERE_TRY_ASSIGN(auto target, absolute_path(request.directory));
  if (!target.has_filename()) {
    target = target.parent_path();
  }
  const Guid component = Guid::random();
  const std::vector<PlaceHolder> place_holders = {
      {.text = "@SPHERE_NAME@", .value = name},
      {.text = "@SPHERE_COMPONENT_ID@", .value = component.text()},
      {.text = "@SPHERE_BOARD@", .value = request.board}};
  Unfinished unfinished{
      target.parent_path() / fmt::format(".{}.{}", target.filename().string(), component.text()),
      missing_directories(target.parent_path())};
  SPHERE_TRY(make_directories(unfinished.path()));
  SPHERE_TRY_ASSIGN(auto files, copy_files(info.directory, unfinished.path(), place_holders));
  SPHERE_TRY(unfinished.move_to(target));
  return files;
}

}  // namespace sphere::project
