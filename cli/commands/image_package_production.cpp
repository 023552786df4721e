// SPDX-License-Identifier: MIT
#include "cli/commands/image_package_production.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/build_identity.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/production.h"
#include "sphere/image/trust.h"

namespace sphere::cli {
namespace {

// The package that is to be signed, with a good signature of somebody who is known: what was
// damaged on the way must not get a production signature.
Result<image::Verified<image::Package>> verify_upload(Context& context, const Arguments& arguments,
                                                      const std::string& path) {
  SPHERE_TRY_ASSIGN(auto package, image::open_package(std::filesystem::path{path}));
  SPHERE_TRY(image::require_application(package));
  const auto trust_path = arguments.value("trust");
  auto keys = trust_path ? read_trusted_keys(*trust_path)
                         : Result<std::vector<KnownKey>>{known_keys(context)};
  if (!keys) {
    return tl::make_unexpected(std::move(keys).error());
  }
  const auto type = package.metadata.identity.image_type;
  auto trust = trust_store(*keys, type);
  if (!trust_path) {
    add_public_test_key(type, trust);
  }
  auto verified = image::verify(std::move(package), trust);
  if (!verified && verified.error().code() == Errc::unverified) {
    return fail(Errc::unverified, fmt::format("{}: {}", path, verified.error().message()),
                {.reason = "package.untrusted",
                 .value = path,
                 .next = "name the key of its developer: --trust FILE"});
  }
  return verified;
}

}  // namespace

Result<Output> sign_production(Context& context, const Arguments& arguments, Signers& signers) {
  SPHERE_TRY_ASSIGN(const auto source, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto identity, read_build_identity(context, arguments));
  const auto upload = verify_upload(context, arguments, source);
  if (!upload) {
    return tl::make_unexpected(about_file(upload.error(), source));
  }
  const auto path = arguments.value("output-file").value_or(source);
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  const auto& signing = signers.get(arguments);
  if (!signing) {
    return tl::make_unexpected(signing.error());
  }
  SPHERE_TRY_ASSIGN(const auto bytes,
                    image::sign_for_production(*upload, identity.build_time, *signing->signer));
  SPHERE_TRY(file.write(bytes));
  SPHERE_TRY(file.commit());
  Output output{.text = fmt::format("Signed {} for production ({} bytes) with {}.", path,
                                    with_thousands(bytes.size()), signing->signed_by)};
  output.data.set("file", path)
      .set("signedBy", signing->signed_by)
      .set("imageId", (*upload)->metadata.identity.image_id.text())
      .set("bytes", bytes.size());
  return output;
}

Result<bool> is_production_v1(const Arguments& arguments) {
  if (!arguments.has("production") || arguments.has("compress") ||
      arguments.value("format").value_or("v1") != "v1") {
    return false;
  }
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(auto file, image::FileBlocks::open(path));
  const auto size = file.size();
  const auto container =
      image::open_container(std::make_shared<image::FileBlocks>(std::move(file)), size);
  if (!container) {
    return tl::make_unexpected(about_file(container.error(), path));
  }
  return container->kind != image::PackageKind::package_v2;
}

}  // namespace sphere::cli
