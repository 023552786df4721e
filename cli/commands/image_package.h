// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

// The verbs of image-package; the table is in image_package.cpp.
namespace sphere::cli {

[[nodiscard]] Result<Output> run_pack_application(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_show_package(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_verify_package(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_unpack_package(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_diff_packages(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_check_package(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_sign_package(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_export_digest(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_sign_digest(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_import_signature(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_pack_board_config(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_pack_recovery(Context& context, const Arguments& arguments);
[[nodiscard]] Result<Output> run_pack_trust_store(Context& context, const Arguments& arguments);

// The file that the option --image-package or the first word names. Errors: usage.missing-option,
// usage.conflict.
[[nodiscard]] Result<std::string> package_path(const Arguments& arguments);

// `error` with the file's name in front, unless its message has it already.
[[nodiscard]] Error about_file(Error error, const std::string& path);

// Opens the file of --output-file. A file that is there is replaced only if it is an image package,
// as a build does again and again, or with --force; with --no-sync it is not synced. Errors:
// local.file-exists and those of AtomicFile.
[[nodiscard]] Result<AtomicFile> create_package_file(const std::filesystem::path& path,
                                                     const Arguments& arguments);

}  // namespace sphere::cli
