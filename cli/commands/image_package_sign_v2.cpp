// SPDX-License-Identifier: MIT
// `image-package sign` for format v2, and from one format to the other.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/sign_v2.h"

namespace sphere::cli {
namespace {

tl::unexpected<Error> conflict(std::string message, std::string value, std::string next) {
  return fail(Errc::invalid_argument, std::move(message),
              {.reason = "usage.conflict", .value = std::move(value), .next = std::move(next)});
}

// What is to be written.
enum class Target : std::uint8_t { v1, v2_from_v1, same, compressed };

Result<Target> choose_target(const Arguments& arguments, const image::Package& package) {
  const bool is_v2 = package.kind == image::PackageKind::package_v2;
  const auto format = arguments.value("format").value_or(is_v2 ? "v2" : "v1");
  const bool to_v2 = format == "v2";
  if (arguments.has("production") && (!is_v2 || !to_v2)) {
    return conflict("--production signs packages of format v2 here", "production",
                    "convert it first: sphere image-package sign --format v2");
  }
  if (arguments.has("compress") && !to_v2) {
    return conflict("--compress needs a package of format v2", "compress", "add --format v2");
  }
  if (arguments.has("compress") && arguments.has("production")) {
    return conflict("--compress and --production exclude each other", "compress",
                    "compress it first, then sign it for production");
  }
  if (is_v2) {
    if (!to_v2) {
      return Target::v1;
    }
    return arguments.has("compress") ? Target::compressed : Target::same;
  }
  return Target::v2_from_v1;
}

// The same body and hash area with a new tail.
Result<void> write_signed(const image::Package& package, const Arguments& arguments,
                          const crypto::Signer& signer, AtomicFile& file, const Context& context) {
  image::SignV2 options;
  if (arguments.has("production")) {
    SPHERE_TRY_ASSIGN(const auto common, pack_options(context, arguments));
    options.production_time = common.build_time;  // SOURCE_DATE_EPOCH, else now.
  }
  SPHERE_TRY_ASSIGN(const auto tail, image::sign_tail_v2(package, options, signer));
  SPHERE_TRY(
      image::stream_bytes(*package.source, 0, package.tail_offset(),
                          [&file](std::span<const std::byte> bytes) { return file.write(bytes); }));
  SPHERE_TRY(package.source->check_unchanged());
  return file.write(tail);
}

// Drops what a conversion says about its result.
constexpr auto kIgnore = [](const auto&) {};

Result<void> write_target(Target target, const image::Package& package, const Arguments& arguments,
                          const crypto::Signer& signer, AtomicFile& file, const Context& context) {
  const image::PackOutput output{.descriptor = file.descriptor(), .name = file.target()};
  SPHERE_TRY_ASSIGN(const auto tools, RunTools::create());
  switch (target) {
    case Target::v1:
      return image::convert_to_v1(package, signer, output).map(kIgnore);
    case Target::v2_from_v1:
      return image::convert_to_v2(
                 package,
                 {.provenance = {{.key = "tool",
                                  .value = fmt::format("sphere/{}", SPHERE_VERSION)}},
                  .compress = arguments.has("compress")},
                 signer, tools->get(), output)
          .map(kIgnore);
    case Target::compressed:
      return image::compress_package(package, signer, tools->get(), output).map(kIgnore);
    case Target::same:
      break;
  }
  return write_signed(package, arguments, signer, file, context);
}

}  // namespace

Result<Output> sign_v2(Context& context, const Arguments& arguments, Signers& signers) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto package, image::open_package(std::filesystem::path{path}));
  if (package.kind == image::PackageKind::application) {
    SPHERE_TRY(image::check_body(package));  // Only what is well formed is signed.
  }
  SPHERE_TRY_ASSIGN(const auto target, choose_target(arguments, package));
  const auto to = arguments.value("output-file").value_or(path);
  SPHERE_TRY_ASSIGN(auto file, create_package_file(to, arguments));
  const auto& signing = signers.get(arguments);
  if (!signing) {
    return tl::make_unexpected(signing.error());
  }
  if (auto written = write_target(target, package, arguments, *signing->signer, file, context);
      !written) {
    return tl::make_unexpected(about_file(std::move(written).error(), path));
  }
  SPHERE_TRY(file.commit());
  Output output{.text = fmt::format("Signed {} with {}.", to, signing->signed_by)};
  output.data.set("file", to).set("signedBy", signing->signed_by);
  return output;
}

}  // namespace sphere::cli
