// SPDX-License-Identifier: MIT
#include "cli/commands/package_view.h"

#include <filesystem>
#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "cli/commands/image_package.h"
#include "sphere/core/result.h"
#include "sphere/image/package.h"
#include "sphere/image/production.h"
#include "sphere/image/verify_v2.h"

namespace sphere::cli {

Result<image::Package> with_files(image::Package package) {
  if (package.kind == image::PackageKind::package_v2) {
    SPHERE_TRY(image::open_files(package));
  } else if (package.kind == image::PackageKind::production) {
    SPHERE_TRY_ASSIGN(auto inner, image::open_inner(package));
    package.files = std::move(inner.package.files);
  }
  return package;
}

Result<image::Package> open_with_files(const std::string& path) {
  auto package = image::open_package(std::filesystem::path{path}).and_then(with_files);
  if (!package) {
    return tl::make_unexpected(about_file(std::move(package).error(), path));
  }
  return package;
}

}  // namespace sphere::cli
