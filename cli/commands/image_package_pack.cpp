// SPDX-License-Identifier: MIT
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/build_identity.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/thread_pool.h"
#include "sphere/image/pack.h"
#include "sphere/image/package.h"
#include "sphere/image/production.h"
#include "sphere/image/verify_v2.h"
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
  SPHERE_TRY_ASSIGN(const auto identity, read_build_identity(context, arguments));
  options.build_time = identity.build_time;
  options.reproducible = identity.reproducible;
  options.image_id = identity.image_id;
  return options;
}

json::Value text_list(const std::vector<std::string>& texts) {
  return json::Array(texts.begin(), texts.end());
}

// The package whose files are meant: the one inside of a production package.
Result<image::Package> application_in(const image::Package& package) {
  if (package.kind == image::PackageKind::production) {
    SPHERE_TRY_ASSIGN(auto inner, image::open_inner(package));
    return std::move(inner.package);
  }
  if (package.kind == image::PackageKind::package_v2) {
    auto opened = package;  // Its blocks are proven as they are read.
    SPHERE_TRY(image::open_files(opened));
    if (opened.files.body != nullptr) {
      return opened;
    }
  }
  SPHERE_TRY(image::require_application(package));
  return package;
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
  SPHERE_TRY_ASSIGN(const auto application, application_in(package));
  const auto directory =
      arguments.value("output-directory").value_or(std::filesystem::path{path}.stem().string());
  SPHERE_TRY_ASSIGN(const auto files, image::unpack(application, directory));

  Output output{.text = fmt::format("Wrote {} files to {}.", files.size(), directory)};
  output.data.set("directory", directory).set("files", text_list(files));
  return output;
}

}  // namespace sphere::cli
