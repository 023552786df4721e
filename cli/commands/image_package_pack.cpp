// SPDX-License-Identifier: MIT
#include <charconv>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/environment/variables.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/thread_pool.h"
#include "sphere/image/pack.h"
#include "sphere/image/package.h"
#include "sphere/json/value.h"
#include "sphere/project/pack.h"

namespace sphere::cli {
namespace {

// The values of a list; one with commas that is no existing path is several, as CMake writes it.
std::vector<std::string> split_list(const std::vector<std::string>& values) {
  std::vector<std::string> result;
  for (const auto& value : values) {
    std::error_code error;
    if (std::filesystem::exists(value, error)) {
      result.push_back(value);
      continue;
    }
    for (auto& part : split(value, ',')) {
      if (!part.empty()) {
        result.push_back(std::move(part));
      }
    }
  }
  return result;
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::uint64_t> read_time(const std::string& text) {
  std::tm parts = {};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') {
    return read_number(text);
  }
  const auto seconds = ::timegm(&parts);
  return seconds < 0 ? std::nullopt : std::optional{static_cast<std::uint64_t>(seconds)};
}

tl::unexpected<Error> bad_value(std::string_view option, const std::string& value,
                                std::string_view example) {
  return fail(Errc::invalid_argument,
              fmt::format("{} has a value that it cannot have: {}", option, escape_control(value)),
              {.reason = "usage.bad-value",
               .value = value,
               .next = fmt::format("write it as {}", example)});
}

// Build time and image id, from the options and SOURCE_DATE_EPOCH.
Result<void> read_provenance(const Context& context, const Arguments& arguments,
                             project::PackOptions& options) {
  options.build_time = static_cast<std::uint64_t>(context.clock.unix_seconds());
  if (const auto epoch = variable("SOURCE_DATE_EPOCH")) {
    const auto time = read_number(*epoch);
    if (!time) {
      return bad_value("SOURCE_DATE_EPOCH", *epoch, "Unix seconds, 1735689600");
    }
    options.build_time = *time;
    options.reproducible = true;
  }
  if (const auto date = arguments.value("build-date")) {
    const auto time = read_time(*date);
    if (!time) {
      return bad_value("--build-date", *date, "2026-07-31T00:00:00Z, or as Unix seconds");
    }
    options.build_time = *time;
  }
  if (const auto id = arguments.value("image-id")) {
    options.image_id = Guid::parse(*id);
    if (!options.image_id) {
      return bad_value("--image-id", *id, "00112233-4455-6677-8899-aabbccddeeff");
    }
  }
  return {};
}

Result<project::PackOptions> read_options(const Context& context, const Arguments& arguments) {
  project::PackOptions options{
      .directory = arguments.value("package-directory").value_or(""),
      .manifest = arguments.value("application-manifest").value_or(""),
      .executables = split_list(arguments.list("executables")),
      .target_definition = arguments.value("target-definition-filename").value_or(""),
      .api_set = arguments.value("target-api-set").value_or(""),
      .check = !arguments.has("no-check"),
      .frozen = arguments.has("frozen"),
      .sdk_directory = context.sdk_directory};
  for (const auto& path : split_list(arguments.list("hardware-definitions"))) {
    options.hardware_definitions.emplace_back(path);
  }
  SPHERE_TRY(read_provenance(context, arguments, options));
  return options;
}

json::Value text_list(const std::vector<std::string>& texts) {
  return json::Array(texts.begin(), texts.end());
}

}  // namespace

Result<project::PackOptions> pack_options(const Context& context, const Arguments& arguments) {
  return read_options(context, arguments);
}

Result<Output> run_pack_application(Context& context, const Arguments& arguments) {
  if (arguments.value("format") == "v2") {
    return run_pack_application_v2(context, arguments);
  }
  SPHERE_TRY(refuse_v2_options(arguments));
  SPHERE_TRY_ASSIGN(const auto options, read_options(context, arguments));
  const auto path = arguments.value("output-file").value_or("");
  // First of all, so that a refused output file leaves no key and no changed manifest behind.
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  SPHERE_TRY_ASSIGN(const auto signing, choose_signer(context, arguments));
  context.reporter.verbose(
      fmt::format("packing {}, signed by {}", options.directory.string(), signing.signed_by));
  ThreadPool pool;
  SPHERE_TRY_ASSIGN(const auto packed,
                    project::pack_application(options, *signing.signer,
                                              [&file](auto bytes) { return file.write(bytes); },
                                              {.output = &file, .pool = &pool}));
  for (const auto& warning : packed.warnings) {
    context.reporter.warn(warning);
  }
  SPHERE_TRY(file.commit());
  context.reporter.verbose(fmt::format("image id {}", packed.image_id.text()));

  Output output{.text = fmt::format("Packed {} ({} bytes), signed by {}.", path,
                                    with_thousands(packed.size), signing.signed_by)};
  output.data.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("componentId", packed.component_id.text())
      .set("name", packed.name)
      .set("bytes", packed.size)
      .set("signedBy", signing.signed_by)
      .set("warnings", text_list(packed.warnings));
  return output;
}

Result<Output> run_sign_package(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto name, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto with_v2, is_sign_v2(arguments, name));
  if (with_v2) {
    return sign_v2(context, arguments, name);
  }
  SPHERE_TRY_ASSIGN(const auto source, read_package_file(arguments));
  // Only what is well formed is signed.
  SPHERE_TRY_ASSIGN(const auto package, image::parse_package(source.bytes));
  SPHERE_TRY(image::require_application(package));
  const auto path = arguments.value("output-file").value_or(source.path);
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  SPHERE_TRY_ASSIGN(const auto signing, choose_signer(context, arguments));
  SPHERE_TRY_ASSIGN(const auto bytes, image::sign_again(source.bytes, *signing.signer));
  SPHERE_TRY(file.write(bytes));
  SPHERE_TRY(file.commit());

  Output output{.text = fmt::format("Signed {} with {}.", path, signing.signed_by)};
  output.data.set("file", path).set("signedBy", signing.signed_by);
  return output;
}

Result<Output> run_unpack_package(Context& /*context*/, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto package, image::open_package(path));
  if (auto checked = image::check_body(package); !checked) {
    return tl::make_unexpected(about_file(std::move(checked).error(), path));
  }
  const auto directory =
      arguments.value("output-directory").value_or(std::filesystem::path{path}.stem().string());
  SPHERE_TRY_ASSIGN(const auto files, image::unpack(package, directory));

  Output output{.text = fmt::format("Wrote {} files to {}.", files.size(), directory)};
  output.data.set("directory", directory).set("files", text_list(files));
  return output;
}

}  // namespace sphere::cli
