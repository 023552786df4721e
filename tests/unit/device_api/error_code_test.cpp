// SPDX-License-Identifier: MIT
#include "sphere/device_api/error_code.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include <catch2/catch.hpp>

using sphere::device_api::error_name;
using sphere::device_api::ErrorCode;
using sphere::device_api::ErrorInfo;
using sphere::device_api::find_error;
using sphere::device_api::kAppNotPresent;
using sphere::device_api::kDevelopmentNeeded;
using sphere::device_api::kEntryPointNotExecutable;
using sphere::device_api::kGpioInUse;
using sphere::device_api::kNotAuthorised;
using sphere::device_api::kPackageUntrusted;
using sphere::device_api::make_code;

namespace {

// Every row of the table: ids of the categories in use are below 64.
std::set<ErrorCode> all_codes() {
  std::set<ErrorCode> codes;
  for (std::uint32_t category = 0; category < 600; ++category) {
    for (std::uint32_t id = 0; id < 64; ++id) {
      if (find_error(make_code(category, id)) != nullptr) {
        codes.insert(make_code(category, id));
      }
    }
  }
  return codes;
}

}  // namespace

TEST_CASE("107 codes are known to public clients and sent in bodies", "[device_api]") {
  std::size_t with_body = 0;
  for (const ErrorCode code : all_codes()) {
    with_body += find_error(code)->has_body ? 1 : 0;
  }
  CHECK(with_body == 107);
}

TEST_CASE("every code has a name, a sentence and an HTTP status of a refusal", "[device_api]") {
  std::set<std::string> names;
  for (const ErrorCode code : all_codes()) {
    const ErrorInfo& row = *find_error(code);
    INFO(row.name);
    CHECK(row.code == code);
    CHECK(row.name.find("Error::") != std::string::npos);
    CHECK(names.insert(std::string{row.name}).second);
    CHECK_FALSE(row.sentence.empty());
    CHECK(row.sentence.back() != '.');
    CHECK(row.status >= 400);
    CHECK(row.status < 600);
  }
}

TEST_CASE("codes have the numbers that are on the wire", "[device_api]") {
  CHECK(kAppNotPresent == 14680076);
  CHECK(find_error(14680076)->name == "RestAppError::AppNotPresent");
  CHECK(kEntryPointNotExecutable == 1048591);
  CHECK(kDevelopmentNeeded == 1048596);
  CHECK(find_error(kDevelopmentNeeded)->status == 403);
  CHECK(kGpioInUse == 5242884);
  CHECK(kPackageUntrusted == 7340047);
  CHECK(kNotAuthorised == 10485778);
  CHECK_FALSE(find_error(kNotAuthorised)->has_body);
  CHECK(find_error(38797314)->name == "CertStorageError::IdentifierCharacter");
}

TEST_CASE("a code without a row is named by its category", "[device_api]") {
  CHECK(find_error(make_code(44, 3)) == nullptr);
  CHECK(error_name(make_code(14, 12)) == "RestApp.12");
  CHECK(error_name(make_code(49, 7)) == "SecurityMonitorSyscall.7");
  CHECK(error_name(make_code(512, 1)) == "Sphere.1");
  CHECK(error_name(make_code(8, 1)) == "Category8.1");
  CHECK(error_name(-1) == "Category4095.1048575");
}
