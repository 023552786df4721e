// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/batch/batch.h"
#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/project/pack.h"

// What the verbs of image-package do with format v2.
namespace sphere::cli {

// pack-application --format v2.
[[nodiscard]] Result<Output> pack_application_v2(Context& context, const Arguments& arguments,
                                                 Signers& signers);
[[nodiscard]] Result<Output> run_pack_image(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_expand_package(Context& context, const Arguments& arguments);

// Options that only format v2 has, given with format v1: usage.conflict.
[[nodiscard]] Result<void> refuse_v2_options(const Arguments& arguments);

// `sign` with --format, --production or --compress: makes one package of another form, or for
// production.
[[nodiscard]] Result<Output> sign_v2(Context& context, const Arguments& arguments,
                                     Signers& signers);

// Whether it is a package v2 whose body is no file system of an app.
[[nodiscard]] bool is_raw_image(const image::Package& package);
// Writes its body, every block proven, to DIRECTORY/image, and gives that name. Errors:
// local.file-exists when the directory holds something; as system_error(); unverified.
[[nodiscard]] Result<std::vector<std::string>> unpack_image(const image::Package& package,
                                                            const std::filesystem::path& directory);

// The options of pack-application that both formats have.
[[nodiscard]] Result<project::PackOptions> pack_options(const Context& context,
                                                        const Arguments& arguments);

// Hash engine and threads of one run.
class RunTools {
 public:
  // Error: usage of SPHERE_HASH_BACKEND.
  [[nodiscard]] static Result<std::unique_ptr<RunTools>> create();
  [[nodiscard]] image::Tools get() { return {.engine = &engine_, .pool = &pool_}; }

 private:
  explicit RunTools(crypto::HashEngine engine) : engine_{std::move(engine)} {}
  crypto::HashEngine engine_;
  ThreadPool pool_;
};

// Proves the whole body of a package v2; success for every other kind, whose verify() has read it.
[[nodiscard]] Result<void> check_whole_body(const image::Package& package);

}  // namespace sphere::cli
