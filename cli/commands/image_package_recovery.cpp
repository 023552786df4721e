// SPDX-License-Identifier: MIT
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "cli/commands/build_identity.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/recovery/pack_set.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::cli {
namespace {

namespace fs = std::filesystem;

Result<std::uint32_t> read_security_version(const Arguments& arguments) {
  const auto text = arguments.value("security-version");
  std::uint32_t number = 0;
  if (text) {
    const auto* const end = std::to_address(text->cend());
    const auto [read, error] = std::from_chars(std::to_address(text->cbegin()), end, number);
    if (error != std::errc{} || read != end) {
      return fail(Errc::invalid_argument,
                  fmt::format("--security-version {} is no version", escape_control(*text)),
                  {.reason = "usage.bad-value",
                   .value = escape_control(*text),
                   .next = "write a number from 0 to 4294967295"});
    }
  }
  return number;
}

// Whether the manifest stands where `device recover` looks for it.
bool is_in_place(const fs::path& directory, const fs::path& file) {
  std::error_code error;
  const auto parent = file.parent_path().empty() ? fs::path{"."} : file.parent_path();
  return file.filename() == recovery::v3::kManifestFile && fs::equivalent(parent, directory, error);
}

}  // namespace

Result<Output> run_pack_recovery(Context& context, const Arguments& arguments) {
  const std::string directory = arguments.value("package-directory").value_or("");
  const std::string path = arguments.value("output-file").value_or("");
  SPHERE_TRY_ASSIGN(const auto version, read_security_version(arguments));
  SPHERE_TRY_ASSIGN(const auto identity, read_build_identity(context, arguments));
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  SPHERE_TRY_ASSIGN(const auto signing, choose_signer(context, arguments));
  SPHERE_TRY_ASSIGN(const auto packed,
                    recovery::pack_set({.directory = directory,
                                        .board_id = arguments.value("board").value_or(""),
                                        .security_version = version,
                                        .build_time = identity.build_time,
                                        .image_id = identity.image_id},
                                       *signing.signer));
  SPHERE_TRY(file.write(packed.bytes));
  SPHERE_TRY(file.commit());
  if (!is_in_place(directory, path)) {
    context.reporter.warn(fmt::format("a recovery set has its manifest beside its images, as {}",
                                      recovery::v3::kManifestFile));
  }
  const auto& manifest = packed.manifest;
  Output output{.text =
                    fmt::format("Packed {} (board {}, security version {}, {} image{}, {} "
                                "bytes), signed by {}.",
                                path, manifest.board_id, manifest.security_version,
                                manifest.entries.size(), manifest.entries.size() == 1 ? "" : "s",
                                with_thousands(manifest.total_size()), signing.signed_by)};
  output.data.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("board", manifest.board_id)
      .set("securityVersion", std::uint64_t{manifest.security_version})
      .set("images", std::uint64_t{manifest.entries.size()})
      .set("bytes", manifest.total_size())
      .set("signedBy", signing.signed_by);
  return output;
}

}  // namespace sphere::cli
