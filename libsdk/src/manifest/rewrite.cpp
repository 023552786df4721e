// SPDX-License-Identifier: MIT
#include "sphere/manifest/rewrite.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/pins.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

// Keys of "Capabilities" whose entries may be "$NAME".
constexpr std::array<std::string_view, 6> kResolved = {"Gpio",      "Uart", "I2cMaster",
                                                       "SpiMaster", "Pwm",  "Adc"};
constexpr std::array<std::string_view, 2> kAppended = {"TargetApplicationRuntimeVersion",
                                                       "TargetBetaApis"};

template <typename List>
bool contains(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_name(const json::Value& value) {
  return value.string() != nullptr && value.string()->starts_with('$');
}

// Writes a parsed manifest as compact JSON, token by token from its text.
class Compactor {
 public:
  Compactor(std::string_view text, Rewrite options) : text_{text}, options_{std::move(options)} {}

  Result<std::string> root(const json::Value& root) {
    out_ += '{';
    for (const auto& entry : root.members()) {
      if (contains(kAppended, entry.key)) {
        continue;
      }
      key(entry);
      if (entry.key == "Capabilities") {
        SPHERE_TRY(capabilities(entry.value));
      } else {
        value(entry.value);
      }
    }
    append();
    out_ += '}';
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string_view token(const json::Source& source) const {
    return text_.substr(source.offset, source.length);
  }

  void separate() {
    if (out_.back() != '{' && out_.back() != '[') {
      out_ += ',';
    }
  }

  void key(const json::Member& entry) {
    separate();
    out_ += token(entry.key_source);
    out_ += ':';
  }

  // NOLINTNEXTLINE(misc-no-recursion): json::parse() limits the depth.
  void value(const json::Value& value) {
    if (value.kind() == json::Kind::array) {
      out_ += '[';
      for (const auto& item : value.items()) {
        separate();
        this->value(item);
      }
      out_ += ']';
    } else if (value.kind() == json::Kind::object) {
      out_ += '{';
      for (const auto& entry : value.members()) {
        key(entry);
        this->value(entry.value);
      }
      out_ += '}';
    } else {
      out_ += token(value.source());
    }
  }

  Result<void> capabilities(const json::Value& object) {
    out_ += '{';
    for (const auto& entry : object.members()) {
      key(entry);
      if (contains(kResolved, entry.key)) {
        SPHERE_TRY(peripherals(entry));
      } else {
        value(entry.value);
      }
    }
    out_ += '}';
    return {};
  }

  Result<void> peripherals(const json::Member& entry) {
    out_ += '[';
    for (const auto& item : entry.value.items()) {
      separate();
      SPHERE_TRY(peripheral(entry.key, item));
    }
    out_ += ']';
    return {};
  }

  Result<void> peripheral(std::string_view key, const json::Value& item) {
    if (is_name(item)) {
      return resolved(key, item);
    }
    SPHERE_TRY(claim(key, item, item));
    value(item);
    return {};
  }

  Result<void> resolved(std::string_view key, const json::Value& item) {
    if (!options_.resolve) {
      return fail(Errc::invalid_argument,
                  fmt::format("\"{}\" names {}, and there is no hardware definition to look it up",
                              key, shown(item)),
                  {.reason = "package.hardware-definition",
                   .value = escape_control(*item.string()),
                   .next = "give --hardware-definitions and --target-definition-filename, or call "
                           "azsphere_target_hardware_definition in CMakeLists.txt"});
    }
    SPHERE_TRY_ASSIGN(const auto replacement, options_.resolve(key, item.string()->substr(1)));
    const auto parsed = json::parse(replacement);
    if (!parsed) {
      return fail(Errc::corrupt,
                  fmt::format("the hardware definition gives no JSON value for {}", shown(item)),
                  {.reason = "package.hardware-definition", .value = replacement});
    }
    SPHERE_TRY(claim(key, *parsed, item));
    out_ += replacement;
    return {};
  }

  // `written` is the entry as the manifest has it.
  Result<void> claim(std::string_view key, const json::Value& value, const json::Value& written) {
    const auto* const text = value.string();
    const auto owner = pins_.claim(key, text == nullptr ? value.number_text() : *text);
    if (!owner) {
      return {};
    }
    return fail(Errc::invalid_argument,
                fmt::format("line {}, column {}: \"{}\" {} shares a pin with {} (error 35, {})",
                            written.source().line, written.source().column, key, shown(written),
                            *owner, error_name(35)),
                {.reason = "package.manifest",
                 .value = fmt::format("{} {}", key, json::to_compact(value)),
                 .next = "remove one of the two from the manifest"});
  }

  void append() {
    if (options_.api_set) {
      separate();
      out_ += fmt::format("\"{}\":{}", kAppended[0], *options_.api_set);
    }
    if (!options_.beta_apis.empty()) {
      separate();
      out_ += fmt::format("\"{}\":{}", kAppended[1], json::quote(options_.beta_apis));
    }
  }

  std::string_view text_;
  Rewrite options_;
  PinMap pins_;
  std::string out_;
};

// A peripheral entry that is still a "$NAME"; null when there is none.
const json::Value* first_name(const json::Value& root) {
  const auto* const capabilities = root.find("Capabilities");
  if (capabilities == nullptr) {
    return nullptr;
  }
  for (const auto& entry : capabilities->members()) {
    const auto& items = entry.value.items();
    const auto found = std::ranges::find_if(items, is_name);
    if (contains(kResolved, entry.key) && found != items.end()) {
      return &*found;
    }
  }
  return nullptr;
}

}  // namespace

Result<std::string> rewrite(std::string_view text, const Manifest& manifest,
                            const Rewrite& options) {
  SPHERE_TRY_ASSIGN(const auto root, json::parse(text, {.bytes = kMaxManifestBytes}));
  const bool real_time = manifest.type == ApplicationType::real_time;
  if (real_time && !options.resolve && first_name(root) == nullptr) {
    return std::string{text};
  }
  auto rest = options;
  if (real_time) {
    rest.api_set.reset();
    rest.beta_apis.clear();
  }
  SPHERE_TRY_ASSIGN(auto result, Compactor(text, std::move(rest)).root(root));
  if (result.size() > kMaxManifestBytes) {
    return fail(Errc::too_large,
                fmt::format("the packed manifest has {} bytes, more than {}",
                            with_thousands(result.size()), with_thousands(kMaxManifestBytes)),
                {.reason = "package.manifest"});
  }
  return result;
}

}  // namespace sphere::manifest
