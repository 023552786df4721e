// SPDX-License-Identifier: MIT
#include "cli/exit_status.h"

#include <string_view>

#include "sphere/core/result.h"

namespace sphere::cli {
namespace {

std::string_view default_reason(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return "usage.bad-value";
    case Errc::not_found:
      return "local.file-not-found";
    case Errc::exists:
      return "local.file-exists";
    case Errc::unverified:
      return "package.untrusted";
    case Errc::unsupported:
      return "package.unsupported";
    case Errc::too_large:
      return "package.too-large";
    case Errc::permission:
      return "local.permission";
    case Errc::busy:
      return "link.busy";
    case Errc::no_space:
      return "local.no-space";
    case Errc::unavailable:
      return "link.no-answer";
    case Errc::timeout:
    case Errc::cancelled:
      return "device.timeout";
    case Errc::corrupt:
    case Errc::io:
      return "local.file-unreadable";
  }
  return "internal.bug";
}

}  // namespace

std::string_view reason_of(const Error& error) {
  return error.hint().reason.empty() ? default_reason(error.code()) : error.hint().reason;
}

int exit_status(const Error& error) {
  return reason_of(error).starts_with("usage.") ? kUsage : kFailed;
}

}  // namespace sphere::cli
