// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/token_module.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <dlfcn.h>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/crypto/pkcs11_interface.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/pkcs11.h"

namespace sphere::crypto {
namespace {

using pkcs11::Ulong;

constexpr std::size_t kMaxSlots = 1024;
constexpr std::size_t kMaxAttribute = std::size_t{64} * 1024;

constexpr std::array<std::string_view, 5> kModules = {
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-proxy.so",
    "/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so", "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so", "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so"};

Result<std::string> find_module(const std::string& path) {
  if (!path.empty()) {
    return path;
  }
  for (const auto module : kModules) {
    std::error_code error;
    if (std::filesystem::exists(module, error)) {
      return std::string{module};
    }
  }
  return fail(Errc::not_found, "there is no PKCS#11 module in the usual places",
              {.reason = "key.not-found",
               .value = "module-path",
               .next = "name it in the URI, pkcs11:...?module-path=/usr/lib/.../module.so, or as "
                       "pkcs11.module in the configuration"});
}

tl::unexpected<Error> no_module(const std::string& path, std::string_view why) {
  return fail(Errc::not_found, fmt::format("{} is no PKCS#11 module: {}", path, why),
              {.reason = "key.not-found",
               .value = path,
               .next = "name the shared library of the token's maker"});
}

// DER of the object identifier of P-256, as CKA_EC_PARAMS has it.
constexpr std::array<std::uint8_t, 10> kP256 = {0x06, 0x08, 0x2A, 0x86, 0x48,
                                                0xCE, 0x3D, 0x03, 0x01, 0x07};

template <typename Function>
Function function_at(void* library, const char* name) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how dlsym() gives functions.
  return reinterpret_cast<Function>(::dlsym(library, name));
}

// The modules that this process has started, by their libraries, and how many use each.
// C_Initialize and C_Finalize act on the whole process, so the count is the process's, too.
class RunningModules {
 public:
  static RunningModules& instance() {
    static RunningModules only;
    return only;
  }

  pkcs11::Rv start(void* library, const pkcs11::FunctionList& calls) {
    const std::lock_guard lock{mutex_};
    auto& module = modules_[library];
    if (module.users == 0) {
      pkcs11::InitializeArguments arguments = {};
      arguments.flags = pkcs11::kOsLockingOk;
      const auto value = calls.initialize(&arguments);
      if (value != pkcs11::kOk && value != pkcs11::kAlreadyInitialized) {
        modules_.erase(library);
        return value;
      }
      module.is_ours = value == pkcs11::kOk;  // Else somebody else in this process will end it.
    }
    ++module.users;
    return pkcs11::kOk;
  }

  void stop(void* library, const pkcs11::FunctionList& calls) {
    const std::lock_guard lock{mutex_};
    const auto found = modules_.find(library);
    if (found == modules_.end() || --found->second.users > 0) {
      return;
    }
    if (found->second.is_ours) {
      calls.finalize(nullptr);
    }
    modules_.erase(found);
  }

 private:
  struct Module {
    std::size_t users = 0;
    bool is_ours = false;
  };
  std::mutex mutex_;
  std::map<void*, Module> modules_;
};

// A count that a token gave, for a buffer of `most`.
Result<void> check_count(std::string_view what, Ulong count, std::size_t most) {
  if (count > most) {
    return fail(Errc::corrupt, fmt::format("the token says that it has {} {}", count, what),
                {.reason = "key.refused",
                 .value = std::to_string(count),
                 .next = "check the token and its module with the tool of its maker"});
  }
  return {};
}

}  // namespace

std::span<const std::string_view> default_token_modules() { return kModules; }

std::string unpadded(std::span<const pkcs11::Byte> field) {
  std::string text;
  for (const auto byte : field) {
    text += static_cast<char>(byte);
  }
  text.erase(text.find_last_not_of(std::string_view{" \0", 2}) + 1);
  return text;
}

tl::unexpected<Error> refused(std::string_view action, pkcs11::Rv value) {
  switch (value) {
    case pkcs11::kDeviceError:
    case pkcs11::kDeviceRemoved:
    case pkcs11::kSessionClosed:
    case pkcs11::kSessionHandleInvalid:
    case pkcs11::kTokenNotPresent:
      return fail(Errc::io, fmt::format("cannot {}: the token is gone ({:#x})", action, value),
                  {.reason = "key.token-missing",
                   .value = fmt::format("{:#x}", value),
                   .next = "put the token in again, then repeat"});
    default:
      return fail(Errc::io, fmt::format("cannot {}: the token says {:#x}", action, value),
                  {.reason = "key.refused",
                   .value = fmt::format("{:#x}", value),
                   .next = "look the number up among the CKR_ values of the token's manual"});
  }
}

Result<std::shared_ptr<TokenModule>> TokenModule::load(const std::string& path) {
  SPHERE_TRY_ASSIGN(const auto file, find_module(path));
  if (file.find('/') == std::string::npos) {
    return no_module(file, "give its path, with a slash in it");
  }
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps the text for each thread.
    return no_module(file, ::dlerror());
  }
  const auto get_list = function_at<pkcs11::GetFunctionList>(library, "C_GetFunctionList");
  pkcs11::FunctionList* calls = nullptr;
  if (get_list == nullptr || get_list(&calls) != pkcs11::kOk || calls == nullptr ||
      calls->version.major != 2) {
    ::dlclose(library);
    return no_module(file, "it does not speak PKCS#11 2");
  }
  if (const auto value = RunningModules::instance().start(library, *calls); value != pkcs11::kOk) {
    ::dlclose(library);
    return refused("start the PKCS#11 module", value);
  }
  return std::shared_ptr<TokenModule>{new TokenModule{library, calls}};
}

TokenModule::~TokenModule() {
  RunningModules::instance().stop(library_, *calls_);
  ::dlclose(library_);
}

Result<std::vector<std::pair<Ulong, pkcs11::TokenInfo>>> TokenModule::tokens() const {
  std::vector<Ulong> slots(kMaxSlots);
  Ulong count = slots.size();
  if (const auto value = calls_->get_slot_list(1, slots.data(), &count); value != pkcs11::kOk) {
    return refused("list the tokens", value);
  }
  SPHERE_TRY(check_count("slots", count, slots.size()));
  slots.resize(count);
  std::vector<std::pair<Ulong, pkcs11::TokenInfo>> tokens;
  for (const auto slot : slots) {
    pkcs11::TokenInfo info = {};
    if (calls_->get_token_info(slot, &info) == pkcs11::kOk &&
        (info.flags & pkcs11::kTokenInitialized) != 0) {
      tokens.emplace_back(slot, info);
    }
  }
  return tokens;
}

Result<TokenSession> TokenSession::open(std::shared_ptr<TokenModule> module, Ulong slot) {
  Ulong handle = 0;
  const auto value =
      module->calls().open_session(slot, pkcs11::kSerialSession, nullptr, nullptr, &handle);
  if (value != pkcs11::kOk) {
    return refused("open a session", value);
  }
  return TokenSession{std::move(module), handle};
}

TokenSession::TokenSession(TokenSession&& other) noexcept
    : module_{std::move(other.module_)}, handle_{std::exchange(other.handle_, 0)} {}

TokenSession::~TokenSession() {
  if (module_) {
    module_->calls().close_session(handle_);
  }
}

Result<std::vector<Ulong>> TokenSession::find(Ulong object_class, std::string_view label,
                                              const std::vector<std::byte>& id) const {
  std::string name{label};
  auto key_id = id;
  std::vector<pkcs11::Attribute> wanted = {
      {.type = pkcs11::kClass, .value = &object_class, .length = sizeof object_class}};
  if (!name.empty()) {
    wanted.push_back({.type = pkcs11::kLabel, .value = name.data(), .length = name.size()});
  }
  if (!key_id.empty()) {
    wanted.push_back({.type = pkcs11::kId, .value = key_id.data(), .length = key_id.size()});
  }
  if (const auto value = calls().find_objects_init(handle_, wanted.data(), wanted.size());
      value != pkcs11::kOk) {
    return refused("look for keys", value);
  }
  std::vector<Ulong> objects(kMaxObjects);
  Ulong count = 0;
  const auto value = calls().find_objects(handle_, objects.data(), objects.size(), &count);
  calls().find_objects_final(handle_);
  if (value != pkcs11::kOk) {
    return refused("look for keys", value);
  }
  SPHERE_TRY(check_count("objects", count, objects.size()));
  objects.resize(count);
  return objects;
}

std::optional<std::vector<std::byte>> TokenSession::attribute(Ulong object, Ulong type) const {
  pkcs11::Attribute wanted = {.type = type, .value = nullptr, .length = 0};
  if (calls().get_attribute_value(handle_, object, &wanted, 1) != pkcs11::kOk ||
      wanted.length == pkcs11::kUnavailable || wanted.length > kMaxAttribute) {
    return std::nullopt;
  }
  std::vector<std::byte> bytes(wanted.length);
  wanted.value = bytes.data();
  if (calls().get_attribute_value(handle_, object, &wanted, 1) != pkcs11::kOk ||
      wanted.length > bytes.size()) {
    return std::nullopt;
  }
  bytes.resize(wanted.length);
  return bytes;
}

std::optional<PublicKey> TokenSession::public_key(Ulong object) const {
  constexpr std::size_t kPoint = 65;  // 04 | x | y
  const auto parameters = attribute(object, pkcs11::kEcParams);
  if (!parameters || !std::ranges::equal(*parameters, std::as_bytes(std::span{kP256}))) {
    return std::nullopt;
  }
  auto point = attribute(object, pkcs11::kEcPoint);
  // By the standard an OCTET STRING around the point; some tokens give the point alone.
  if (point && point->size() == kPoint + 2 && point->front() == std::byte{0x04} &&
      (*point)[1] == std::byte{kPoint}) {
    point->erase(point->begin(), point->begin() + 2);
  }
  if (!point || point->size() != kPoint || point->front() != std::byte{0x04}) {
    return std::nullopt;
  }
  auto key = PublicKey::from_point(std::span{*point}.subspan<1, kPoint - 1>());
  return key ? std::optional{*std::move(key)} : std::nullopt;
}

}  // namespace sphere::crypto
