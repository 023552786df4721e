// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/batch/batch.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/image_package_production.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key_store.h"
#include "sphere/image/batch.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPath = "image-package sign";

// The file that a job writes: its output, or its package itself.
std::string written_file(const Arguments& arguments) {
  return arguments.value("output-file").value_or(arguments.value("image-package").value_or(""));
}

std::string signed_text(const json::Value& row) {
  return fmt::format("Signed {} with {}.", escape_control(row.string_at("file").value_or("")),
                     escape_control(row.string_at("signedBy").value_or("")));
}

Result<void> refuse_trust(const Arguments& arguments) {
  if (const auto trust = arguments.value("trust")) {
    return fail(Errc::invalid_argument, "--trust belongs to --production of format v1",
                {.reason = "usage.conflict", .value = *trust, .next = "leave --trust out"});
  }
  return {};
}

// Whether more than the key of a package is to change.
bool is_conversion(const Arguments& arguments) {
  return arguments.has("format") || arguments.has("production") || arguments.has("compress");
}

Result<Output> convert(Context& context, const Arguments& arguments, Signers& signers) {
  SPHERE_TRY_ASSIGN(const auto is_v1, is_production_v1(arguments));
  if (is_v1) {
    return sign_production(context, arguments, signers);
  }
  SPHERE_TRY(refuse_trust(arguments));
  return sign_v2(context, arguments, signers);
}

// Signs the jobs of one window.
class SignWindow {
 public:
  SignWindow(Context& context, Signers& signers, const Workers& workers)
      : context_{&context}, signers_{&signers}, workers_{&workers} {}

  std::vector<JobResult> run(const std::vector<const Arguments*>& jobs) {
    for (const auto* arguments : jobs) {
      results_.push_back({.file = arguments->value("image-package").value_or("")});
      if (auto added = add(*arguments); !added) {
        results_.back().row.set("file", written_file(*arguments)).set("signedBy", {});
        results_.back().error = std::move(added).error();
      }
    }
    auto signed_ones = image::sign_packages(jobs_, workers_->tools);
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      finish(results_[places_[i]], *jobs[places_[i]], std::move(signed_ones[i]));
    }
    return std::move(results_);
  }

 private:
  Result<void> add(const Arguments& arguments) {
    const auto file = written_file(arguments);
    // Two jobs at once on one file would each overwrite what the other one did.
    if (!files_.insert(fs::path{file}.lexically_normal().string()).second) {
      return fail(Errc::invalid_argument,
                  fmt::format("another job writes {}, too", escape_control(file)),
                  {.reason = "usage.conflict", .value = file, .next = "give each its own file"});
    }
    if (is_conversion(arguments)) {
      SPHERE_TRY_ASSIGN(auto converted, convert(*context_, arguments, *signers_));
      results_.back().row = std::move(converted.data);
      return {};
    }
    SPHERE_TRY(refuse_trust(arguments));
    const auto& signing = signers_->get(arguments);
    if (!signing) {
      return tl::make_unexpected(signing.error());
    }
    places_.push_back(results_.size() - 1);
    jobs_.push_back({.input = arguments.value("image-package").value_or(""),
                     .output = arguments.value("output-file").value_or(""),
                     .signer = signing->signer.get(),
                     .replace_any = arguments.has("force"),
                     .sync = !arguments.has("no-sync")});
    return {};
  }

  void finish(JobResult& result, const Arguments& arguments,
              Result<image::SignedPackage> signed_one) {
    result.row.set("file", written_file(arguments));
    if (!signed_one) {
      result.row.set("signedBy", {});
      result.error = std::move(signed_one).error();
      return;
    }
    result.row.set("signedBy", signers_->get(arguments)->signed_by);
  }

  Context* context_;
  Signers* signers_;
  const Workers* workers_;
  std::vector<JobResult> results_;
  std::vector<image::SignJob> jobs_;
  std::vector<std::size_t> places_;  // Of the jobs among the results.
  std::set<std::string> files_;
};

BatchVerb sign_verb(Context& context, std::shared_ptr<Signers> signers,
                    std::shared_ptr<Workers> workers) {
  return {.doing = "Signing packages",
          .run =
              [&context, signers = std::move(signers),
               workers = std::move(workers)](const std::vector<const Arguments*>& jobs) {
                return SignWindow{context, *signers, *workers}.run(jobs);
              },
          .text_of = signed_text,
          .summary =
              [](std::size_t good, std::size_t failed) {
                return fmt::format("Signed {} packages, {} failed.", with_thousands(good),
                                   with_thousands(failed));
              }};
}

// One job for each package of the line; with --output-directory each gets its file there.
Result<std::vector<Arguments>> jobs_of_line(const Arguments& arguments,
                                            const NamedPackages& named) {
  const auto directory = arguments.value("output-directory");
  if (arguments.has("output-file") && (named.packages.size() != 1 || directory)) {
    return fail(Errc::invalid_argument, "--output-file is for one package",
                {.reason = "usage.conflict",
                 .value = arguments.value("output-file").value_or(""),
                 .next = "use --output-directory alone"});
  }
  std::vector<Arguments> jobs;
  for (const auto& package : named.packages) {
    Arguments job{.values = arguments.values, .positionals = {}};
    job.values["image-package"] = {package.path};
    if (directory) {
      const auto output = fs::path{*directory} / package.relative;
      SPHERE_TRY(make_directories(output.parent_path()));
      job.values["output-file"] = {output.string()};
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Result<Output> sign_one(Context& context, const Arguments& job, std::shared_ptr<Signers> signers,
                        std::shared_ptr<Workers> workers) {
  // First of all, so that a refused file leaves no new key behind.
  const auto input = job.value("image-package").value_or("");
  SPHERE_TRY(image::finish_interrupted_signing(input));
  SPHERE_TRY_ASSIGN(const auto package, image::open_package(fs::path{input}));
  if (package.metadata.identity.image_type == image::kTrustedKeyStore) {
    signers = std::make_shared<Signers>([&context](const Arguments& wanted) {
      return choose_signer(context, wanted, crypto::KeyUse::trust_store);
    });
  }
  if (is_conversion(job)) {
    return convert(context, job, *signers);
  }
  SPHERE_TRY(refuse_trust(job));
  if (const auto output = job.value("output-file"); output && !job.has("force")) {
    SPHERE_TRY(image::require_replaceable(*output));
  }
  if (const auto& signing = signers->get(job); !signing) {
    return tl::make_unexpected(signing.error());
  }
  auto results = sign_verb(context, signers, std::move(workers)).run({&job});
  auto& result = results.front();
  if (result.error) {
    const bool is_named =
        result.error->message().find(job.value("output-file").value_or(input)) != std::string::npos;
    return tl::make_unexpected(is_named ? *std::move(result.error)
                                        : about_file(*std::move(result.error), result.file));
  }
  return Output{.data = result.row, .text = signed_text(result.row)};
}

}  // namespace

Result<Output> run_sign_package(Context& context, const Arguments& arguments) {
  const auto signers = std::make_shared<Signers>(
      [&context](const Arguments& wanted) { return choose_signer(context, wanted); });
  SPHERE_TRY_ASSIGN(auto workers, make_workers(context, arguments));
  const auto& command = command_of(kPath);
  if (arguments.has("batch")) {
    SPHERE_TRY(refuse_files_beside_batch(arguments));
    return batch_output(context, jobs_of_input(context, command, arguments),
                        sign_verb(context, signers, std::move(workers)));
  }
  SPHERE_TRY_ASSIGN(const auto named, named_packages(arguments, command));
  SPHERE_TRY_ASSIGN(auto jobs, jobs_of_line(arguments, named));
  if (!named.is_list && !arguments.has("output-directory")) {
    return sign_one(context, jobs.front(), signers, std::move(workers));
  }
  return batch_output(context, jobs_of_list(std::move(jobs)),
                      sign_verb(context, signers, std::move(workers)));
}

}  // namespace sphere::cli
