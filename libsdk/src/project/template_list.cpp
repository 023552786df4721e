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
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/project/template.h"

namespace sphere::project {
namespace {

constexpr std::string_view kDescription = "template.json";
constexpr std::size_t kLargest = std::size_t{64} * 1024;

tl::unexpected<Error> incomplete(const std::filesystem::path& file, std::string_view key) {
  return fail(Errc::corrupt, fmt::format("{} lacks \"{}\"", file.string(), key),
              {.reason = "local.sdk-missing",
               .value = file.string(),
               .next = "install the SDK again, or correct the template"});
}

Result<TemplateInfo> read_template(const std::filesystem::path& directory) {
  const auto file = directory / kDescription;
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(file, kLargest));
  auto value = json::parse(text);
  if (!value) {
    return tl::make_unexpected(std::move(value).error().while_doing(file.string()));
  }
  TemplateInfo info;
  info.name = directory.filename().string();
  info.directory = directory;
  for (const auto& [key, field] : {std::pair{"kind", &TemplateInfo::kind},
                                   std::pair{"description", &TemplateInfo::description}}) {
    auto found = value->string_at(key);
    if (!found) {
      return incomplete(file, key);
    }
    info.*field = *std::move(found);
  }
  const json::Value* languages = value->find("languages");
  for (const json::Value& language : languages == nullptr ? json::Array{} : languages->items()) {
    if (const std::string* name = language.string()) {
      info.languages.push_back(*name);
    }
  }
  if (info.languages.empty()) {
    return incomplete(file, "languages");
  }
  return info;
}

}  // namespace

Result<std::vector<TemplateInfo>> list_templates(const std::filesystem::path& sdk_directory) {
  const auto folder = sdk_directory / "Templates";
  std::error_code error;
  std::filesystem::directory_iterator entry{folder, error};
  if (error || sdk_directory.empty()) {
    return fail(Errc::not_found, "no project templates found",
                {.reason = "local.sdk-missing",
                 .value = sdk_directory.empty() ? std::string{} : folder.string(),
                 .next = "install the SDK, or set SPHERE_SDK_DIR to its folder"});
  }
  std::vector<TemplateInfo> result;
  for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::exists(entry->path() / kDescription, ignored)) {
      SPHERE_TRY_ASSIGN(auto info, read_template(entry->path()));
      result.push_back(std::move(info));
    }
  }
  std::ranges::sort(result, {}, &TemplateInfo::name);
  return result;
}

}  // namespace sphere::project
