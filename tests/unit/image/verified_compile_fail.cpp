// SPDX-License-Identifier: MIT
// Compiled by two tests: `allowed` must compile; `forbidden`, which makes a Verified value without
// verify(), must not.
#include <utility>

#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace {

using sphere::image::Package;
using sphere::image::TrustEntry;
using sphere::image::Verified;

[[maybe_unused]] const Package& use(const Verified<Package>& package) { return *package; }

#ifdef SPHERE_CASE_forbidden
[[maybe_unused]] Verified<Package> forge(Package package, TrustEntry entry) {
  return Verified<Package>{std::move(package), std::move(entry)};
}
#endif

}  // namespace
