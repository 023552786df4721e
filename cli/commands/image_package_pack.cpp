// SPDX-License-Identifier: MIT
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/batch/batch.h"
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
#include "sphere/project/batch_pack.h"
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

json::Value packed_row(const std::string& path, const project::PackedApplication& packed,
                       const std::string& signed_by) {
  json::Value row;
  row.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("componentId", packed.component_id.text())
      .set("name", packed.name)
      .set("bytes", packed.size)
      .set("signedBy", signed_by)
      .set("warnings", text_list(packed.warnings));
  return row;
}

std::string packed_text(const json::Value& row) {
  return fmt::format("Packed {} ({} bytes), signed by {}.", row.string_at("file").value_or(""),
                     with_thousands(static_cast<std::size_t>(row.integer_at("bytes").value_or(0))),
                     row.string_at("signedBy").value_or(""));
}

Result<Output> pack_one(Context& context, const Arguments& arguments) {
  if (arguments.value("format") == "v2") {
    Signers signers{[&context](const Arguments& wanted) { return choose_signer(context, wanted); }};
    return pack_application_v2(context, arguments, signers);
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

  auto row = packed_row(path, packed, signing.signed_by);
  auto text = packed_text(row);
  return Output{.data = std::move(row), .text = std::move(text)};
}

// Packs the jobs of one window.
class PackWindow {
 public:
  PackWindow(Context& context, Signers& signers, const Workers& workers)
      : context_{&context}, signers_{&signers}, workers_{&workers} {}

  std::vector<JobResult> run(const std::vector<const Arguments*>& jobs) {
    for (const auto* arguments : jobs) {
      results_.push_back({.file = arguments->value("output-file").value_or("")});
      if (auto added = add(*arguments); !added) {
        results_.back().error = std::move(added).error();
      }
    }
    auto packed = project::pack_applications(jobs_, workers_->tools);
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      auto& result = results_[places_[i]];
      if (!packed[i]) {
        result.error = std::move(packed[i]).error();
        continue;
      }
      result.row = packed_row(result.file, *packed[i], signers_->get(*jobs[places_[i]])->signed_by);
    }
    for (auto& result : results_) {
      if (result.error) {
        result.row.set("file", result.file);
      }
    }
    return std::move(results_);
  }

 private:
  Result<void> add(const Arguments& arguments) {
    SPHERE_TRY_ASSIGN(auto options, read_options(*context_, arguments));
    const auto file = arguments.value("output-file").value_or("");
    if (!files_.insert(std::filesystem::path{file}.lexically_normal().string()).second) {
      return fail(Errc::invalid_argument,
                  fmt::format("another job writes {}, too", escape_control(file)),
                  {.reason = "usage.conflict", .value = file, .next = "give each its own file"});
    }
    if (arguments.value("format") == "v2") {
      SPHERE_TRY_ASSIGN(auto packed, pack_application_v2(*context_, arguments, *signers_));
      results_.back().row = std::move(packed.data);
      return {};
    }
    SPHERE_TRY(refuse_v2_options(arguments));
    const auto& signing = signers_->get(arguments);
    if (!signing) {
      return tl::make_unexpected(signing.error());
    }
    places_.push_back(results_.size() - 1);
    jobs_.push_back({.options = std::move(options),
                     .output = file,
                     .signer = signing->signer.get(),
                     .replace_any = arguments.has("force"),
                     .sync = !arguments.has("no-sync")});
    return {};
  }

  Context* context_;
  Signers* signers_;
  const Workers* workers_;
  std::vector<JobResult> results_;
  std::vector<project::PackJob> jobs_;
  std::vector<std::size_t> places_;  // Of the jobs among the results.
  std::set<std::string> files_;
};

BatchVerb pack_verb(Context& context, std::shared_ptr<Workers> workers) {
  const auto signers = std::make_shared<Signers>(
      [&context](const Arguments& arguments) { return choose_signer(context, arguments); });
  return {.doing = "Packing applications",
          .run =
              [&context, signers,
               workers = std::move(workers)](const std::vector<const Arguments*>& jobs) {
                return PackWindow{context, *signers, *workers}.run(jobs);
              },
          .text_of = packed_text,
          .summary =
              [](std::size_t good, std::size_t failed) {
                return fmt::format("Packed {} applications, {} failed.", with_thousands(good),
                                   with_thousands(failed));
              }};
}

}  // namespace

Result<project::PackOptions> pack_options(const Context& context, const Arguments& arguments) {
  return read_options(context, arguments);
}

Result<Output> run_pack_application(Context& context, const Arguments& arguments) {
  if (!arguments.has("batch")) {
    return pack_one(context, arguments);
  }
  for (const auto* name : {"package-directory", "image-id"}) {
    if (const auto value = arguments.value(name)) {
      return fail(Errc::invalid_argument, fmt::format("--{} and --batch exclude each other", name),
                  {.reason = "usage.conflict", .value = *value, .next = "name it in the jobs"});
    }
  }
  SPHERE_TRY(refuse_files_beside_batch(arguments));
  SPHERE_TRY_ASSIGN(auto workers, make_workers(context, arguments));
  return batch_output(
      context, jobs_of_input(context, command_of("image-package pack-application"), arguments),
      pack_verb(context, std::move(workers)));
}

Result<Output> run_unpack_package(Context& /*context*/, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto package, image::open_package(path));
  if (auto checked = image::check_body(package); !checked) {
    return tl::make_unexpected(about_file(std::move(checked).error(), path));
  }
  const auto directory =
      arguments.value("output-directory").value_or(std::filesystem::path{path}.stem().string());
  auto unpacked = is_raw_image(package) ? unpack_image(package, directory)
                                        : application_in(package).and_then([&](const auto& inner) {
                                            return image::unpack(inner, directory);
                                          });
  if (!unpacked) {
    auto error = std::move(unpacked).error();
    const bool is_damaged = error.code() == Errc::unverified || error.code() == Errc::corrupt;
    return tl::make_unexpected(is_damaged ? about_file(std::move(error), path) : std::move(error));
  }
  const auto& files = *unpacked;

  Output output{.text = fmt::format("Wrote {} files to {}.", files.size(), directory)};
  output.data.set("directory", directory).set("files", text_list(files));
  return output;
}

}  // namespace sphere::cli
