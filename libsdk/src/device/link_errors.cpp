// SPDX-License-Identifier: MIT
#include "libsdk/src/device/link_errors.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "sphere/core/result.h"
#include "sphere/device/link_service.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace {

// The reasons that the service gives, and what each means for a caller.
struct Reason {
  std::string_view name;
  Errc code;
};
constexpr std::array kReasons = {
    Reason{.name = "link.no-answer", .code = Errc::timeout},
    Reason{.name = "link.no-board", .code = Errc::not_found},
    Reason{.name = "link.permission", .code = Errc::permission},
    Reason{.name = "link.busy", .code = Errc::busy},
    Reason{.name = "link.not-slip", .code = Errc::corrupt},
    Reason{.name = "link.in-recovery", .code = Errc::unavailable},
    Reason{.name = "link.unplugged", .code = Errc::unavailable},
    Reason{.name = "device.refused", .code = Errc::unavailable},
    Reason{.name = "usage.bad-value", .code = Errc::invalid_argument},
    Reason{.name = "local.permission", .code = Errc::permission},
    Reason{.name = "local.file-unreadable", .code = Errc::io},
};

}  // namespace

json::Value to_json(const Error& error) {
  const auto& hint = error.hint();
  return json::Value{}
      .set("code", hint.reason.empty() ? std::string_view{"link.no-answer"} : hint.reason)
      .set("message", error.message())
      .set("value", hint.value)
      .set("next", hint.next);
}

Error link_error_from(const json::Value& value) {
  const std::string code = value.string_at("code").value_or("");
  const auto* found = std::ranges::find(kReasons, code, &Reason::name);
  if (found == kReasons.end()) {
    found = kReasons.begin();
  }
  return Error{found->code, value.string_at("message").value_or("sphere link serve refused"),
               Hint{.reason = found->name,
                    .value = value.string_at("value").value_or(""),
                    .next = value.string_at("next").value_or("")}};
}

}  // namespace sphere::device
