// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace sphere {

// What a caller can do about a failure. Tests and programs decide on the code.
// Add a code only if a caller would act differently on it.
enum class Errc : std::uint8_t {
  invalid_argument,  // The caller's request makes no sense; change it.
  not_found,
  exists,       // Something is already there and was not replaced.
  corrupt,      // Bytes do not follow their format.
  unverified,   // Well formed, but a signature or hash does not match, or no key is trusted.
  unsupported,  // Well formed, but a type, version or feature is not known here.
  too_large,    // A limit is passed; the message names it.
  permission,   // The operating system or the device forbids it.
  busy,         // Held by somebody else; may work later.
  no_space,
  unavailable,  // The other side does not answer or is not running.
  timeout,
  cancelled,  // The user ended it.
  io,
};

// What a person or a script needs beside the message. Each part may be empty.
struct Hint {
  std::string_view reason = {};  // Stable name of the cause, a literal: "link.no-board".
  std::string value = {};        // What it failed on: "0403:6011".
  std::string next = {};         // The next step, as a command or an action.
};

class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string message, Hint hint = {})
      : code_{code}, message_{std::move(message)}, hint_{std::move(hint)} {}

  [[nodiscard]] Errc code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const Hint& hint() const noexcept { return hint_; }

  // Returns this error with "`what`: " in front of its message.
  [[nodiscard]] Error while_doing(std::string_view what) && {
    message_.insert(0, ": ").insert(0, what);
    return std::move(*this);
  }

  // Returns this error with `hint` in place of its own; for the module that knows the cause better.
  [[nodiscard]] Error with_hint(Hint hint) && {
    hint_ = std::move(hint);
    return std::move(*this);
  }

 private:
  Errc code_;
  std::string message_;
  Hint hint_;
};

// A T or an Error; Result<void> for an action. tl::expected is not nodiscard:
// mark every function in a header that returns one.
template <typename T>
using Result = tl::expected<T, Error>;

// What a function returns to fail:
//
//   return fail(Errc::not_found, "no board on USB",
//               {.reason = "link.no-board", .next = "hold RECOVER and press RESET"});
[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string message, Hint hint = {}) {
  return tl::unexpected<Error>{Error{code, std::move(message), std::move(hint)}};
}

}  // namespace sphere

// Runs `expression`, which gives a Result; on failure returns its error from
// the calling function.
//
//   SPHERE_TRY(transport.send(frame));
#define SPHERE_TRY(...)                                             \
  do {                                                              \
    if (auto sphere_result = (__VA_ARGS__); !sphere_result) {       \
      return tl::make_unexpected(std::move(sphere_result).error()); \
    }                                                               \
  } while (false)

// The same for a Result whose value is wanted. Two statements: keep it in braces.
//
//   SPHERE_TRY_ASSIGN(const auto key, load_key(path));
#define SPHERE_TRY_ASSIGN(target, ...) \
  SPHERE_DETAIL_TRY_ASSIGN(SPHERE_DETAIL_NAME(sphere_result_, __LINE__), target, __VA_ARGS__)

#define SPHERE_DETAIL_TRY_ASSIGN(result, target, ...)      \
  auto result = (__VA_ARGS__);                             \
  if (!(result)) {                                         \
    return tl::make_unexpected(std::move(result).error()); \
  }                                                        \
  target = *std::move(result)
#define SPHERE_DETAIL_NAME(prefix, line) SPHERE_DETAIL_JOIN(prefix, line)
#define SPHERE_DETAIL_JOIN(a, b) a##b
