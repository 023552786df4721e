// SPDX-License-Identifier: MIT
#include "sphere/crypto/library.h"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <dlfcn.h>
#include <mutex>
#include <string_view>
#include <sys/prctl.h>

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "libsdk/src/crypto/openssl.h"
#include "sphere/core/result.h"

namespace sphere::crypto {

void initialise_library() {
  // OpenSSL's own state is process-wide, and so is the flag that it has been set up.
  static std::once_flag once;
  std::call_once(once, [] { OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr); });
}

LibraryVersion library_version() {
  LibraryVersion result{.version = OpenSSL_version(OPENSSL_VERSION), .file = {}};
  Dl_info theirs = {};
  Dl_info ours = {};
  // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): dladdr() takes any address.
  const bool found = ::dladdr(reinterpret_cast<const void*>(&OpenSSL_version), &theirs) != 0 &&
                     ::dladdr(reinterpret_cast<const void*>(&initialise_library), &ours) != 0;
  // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
  if (found && theirs.dli_fbase != ours.dli_fbase) {
    result.file = theirs.dli_fname;
  }
  return result;
}

void keep_out_of_core_dumps() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // It cannot fail with these arguments.
  static_cast<void>(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
#endif
}

Error openssl_error(std::string_view action) {
  const auto code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return Error{Errc::io,
               fmt::format("cannot {}: {}", action, reason == nullptr ? "OpenSSL failed" : reason),
               {.reason = "internal.bug"}};
}

std::int64_t to_unix(const ASN1_TIME* time) {
  std::tm parts = {};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return 0;
  }
  constexpr int kFirstYear = 1900;
  const auto day = std::chrono::year{parts.tm_year + kFirstYear} /
                   std::chrono::month{static_cast<unsigned>(parts.tm_mon) + 1} /
                   std::chrono::day{static_cast<unsigned>(parts.tm_mday)};
  const std::chrono::sys_seconds seconds =
      std::chrono::sys_days{day} + std::chrono::hours{parts.tm_hour} +
      std::chrono::minutes{parts.tm_min} + std::chrono::seconds{parts.tm_sec};
  return seconds.time_since_epoch().count();
}

}  // namespace sphere::crypto
