// SPDX-License-Identifier: MIT
// A PKCS#11 module with one token and one P-256 key, which errs as it is told. It reads these
// variables at each call:
//   SPHERE_FAKE_TOKEN_KEY     PEM file with the private key
//   SPHERE_FAKE_TOKEN_LOG     file that gets a line for each call: "initialize", "finalize",
//                             "open", "close", "login", "sign <digest in hexadecimal>"
//   SPHERE_FAKE_TOKEN_FAULTS  words NAME=NUMBER, separated by blanks:
//     flags=F             of the token, beside "initialised" and "login required"
//     login=R             what C_Login gives
//     sign-init=R after=N what C_SignInit gives after N signatures
//     signature=L         the length that C_Sign says; bytes are written up to the buffer's
//     point=L             the length that C_GetAttributeValue says of the public point
//     slots=N             how many slots C_GetSlotList says there are
//     objects=N           how many objects C_FindObjects says it found
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "libsdk/src/crypto/pkcs11_interface.h"

namespace {

using namespace sphere::crypto::pkcs11;

constexpr Rv kNotInitialized = 0x190;
constexpr Rv kTypeInvalid = 0x12;
constexpr Ulong kPrivate = 1;  // Handles of the two objects.
constexpr Ulong kPublic = 2;
constexpr std::size_t kPointSize = 65;
constexpr std::size_t kNumberSize = 32;
constexpr std::string_view kPin = "4711";

struct State {
  std::mutex mutex;
  bool running = false;
  Ulong last_session = 0;
  std::set<Ulong> sessions;
  std::vector<Ulong> found;
  Ulong signatures = 0;
};

State& state() {
  static State only;
  return only;
}

void note(const std::string& line) {
  const char* const path = std::getenv("SPHERE_FAKE_TOKEN_LOG");
  if (path == nullptr) {
    return;
  }
  if (std::FILE* const out = std::fopen(path, "ae")) {
    std::fprintf(out, "%s\n", line.c_str());
    std::fclose(out);
  }
}

std::optional<Ulong> fault(std::string_view name) {
  const char* const faults = std::getenv("SPHERE_FAKE_TOKEN_FAULTS");
  const std::string text = faults == nullptr ? "" : " " + std::string{faults};
  const std::string key = " " + std::string{name} + "=";
  const auto at = text.find(key);
  return at == std::string::npos
             ? std::nullopt
             : std::optional{std::strtoul(text.c_str() + at + key.size(), nullptr, 0)};
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Key read_key() {
  Key key{nullptr, &EVP_PKEY_free};
  const char* const path = std::getenv("SPHERE_FAKE_TOKEN_KEY");
  if (std::FILE* const in = path == nullptr ? nullptr : std::fopen(path, "re")) {
    key.reset(PEM_read_PrivateKey(in, nullptr, nullptr, nullptr));
    std::fclose(in);
  }
  return key;
}

std::vector<Byte> point() {
  const auto key = read_key();
  std::vector<Byte> bytes(kPointSize);
  std::size_t size = 0;
  EVP_PKEY_get_octet_string_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY, bytes.data(), bytes.size(),
                                  &size);
  return bytes;
}

std::vector<Byte> raw_signature(const Byte* digest, std::size_t length) {
  const auto key = read_key();
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context{
      EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free};
  std::array<Byte, 80> der = {};
  std::size_t size = der.size();
  EVP_PKEY_sign_init(context.get());
  EVP_PKEY_sign(context.get(), der.data(), &size, digest, length);
  const Byte* begin = der.data();
  ECDSA_SIG* const numbers = d2i_ECDSA_SIG(nullptr, &begin, static_cast<long>(size));
  std::vector<Byte> raw(2 * kNumberSize);
  BN_bn2binpad(ECDSA_SIG_get0_r(numbers), raw.data(), kNumberSize);
  BN_bn2binpad(ECDSA_SIG_get0_s(numbers), raw.data() + kNumberSize, kNumberSize);
  ECDSA_SIG_free(numbers);
  return raw;
}

Rv initialize(void* /*arguments*/) {
  const std::lock_guard lock{state().mutex};
  if (state().running) {
    return kAlreadyInitialized;
  }
  note("initialize");
  state().running = true;
  return kOk;
}

Rv finalize(void* /*reserved*/) {
  const std::lock_guard lock{state().mutex};
  if (!state().running) {
    return kNotInitialized;
  }
  note("finalize");
  state().running = false;
  state().sessions.clear();
  return kOk;
}

Rv get_slot_list(Byte /*token_present*/, Ulong* slots, Ulong* count) {
  const std::lock_guard lock{state().mutex};
  if (!state().running) {
    return kNotInitialized;
  }
  if (slots != nullptr && *count > 0) {
    *slots = 0;
  }
  *count = fault("slots").value_or(1);
  return kOk;
}

template <std::size_t kSize>
void fill(std::array<Byte, kSize>& field, std::string_view text) {
  field.fill(' ');
  std::copy_n(text.begin(), std::min(kSize, text.size()), field.begin());
}

Rv get_token_info(Ulong slot, TokenInfo* info) {
  if (slot != 0) {
    return kTokenNotPresent;
  }
  fill(info->label, "Fake");
  fill(info->manufacturer, "tests");
  fill(info->model, "fake");
  fill(info->serial, "1");
  info->flags = kTokenInitialized | kLoginRequired | fault("flags").value_or(0);
  return kOk;
}

Rv open_session(Ulong /*slot*/, Ulong /*flags*/, void* /*application*/, void* /*notify*/,
                Ulong* session) {
  const std::lock_guard lock{state().mutex};
  if (!state().running) {
    return kNotInitialized;
  }
  note("open");
  *session = ++state().last_session;
  state().sessions.insert(*session);
  return kOk;
}

// Whether a call of this session may go on.
Rv check(Ulong session) {
  if (!state().running) {
    return kNotInitialized;
  }
  return state().sessions.contains(session) ? kOk : kSessionHandleInvalid;
}

Rv close_session(Ulong session) {
  const std::lock_guard lock{state().mutex};
  const auto value = check(session);
  if (value == kOk) {
    note("close");
    state().sessions.erase(session);
  }
  return value;
}

Rv login(Ulong session, Ulong /*user*/, Byte* pin, Ulong length) {
  const std::lock_guard lock{state().mutex};
  if (const auto value = check(session); value != kOk) {
    return value;
  }
  note("login");
  if (const auto value = fault("login")) {
    return *value;
  }
  return length == kPin.size() && std::memcmp(pin, kPin.data(), length) == 0 ? kOk : kPinIncorrect;
}

std::vector<Byte> attribute(Ulong object, Ulong type) {
  constexpr std::array<Byte, 10> kCurve = {0x06, 0x08, 0x2A, 0x86, 0x48,
                                           0xCE, 0x3D, 0x03, 0x01, 0x07};
  switch (type) {
    case kLabel:
      return {'k', 'e', 'y'};
    case kId:
      return {1};
    case kEcParams:
      return {kCurve.begin(), kCurve.end()};
    case kEcPoint:
      return object == kPublic ? point() : std::vector<Byte>{};
    default:
      return {};
  }
}

Rv get_attribute_value(Ulong session, Ulong object, Attribute* attributes, Ulong /*count*/) {
  const std::lock_guard lock{state().mutex};
  if (const auto value = check(session); value != kOk) {
    return value;
  }
  const auto bytes = attribute(object, attributes->type);
  if (bytes.empty()) {
    attributes->length = kUnavailable;
    return kTypeInvalid;
  }
  if (attributes->value != nullptr) {
    std::memcpy(attributes->value, bytes.data(), std::min(attributes->length, bytes.size()));
  }
  attributes->length =
      attributes->type == kEcPoint ? fault("point").value_or(bytes.size()) : bytes.size();
  return kOk;
}

Rv find_objects_init(Ulong session, Attribute* attributes, Ulong count) {
  const std::lock_guard lock{state().mutex};
  if (const auto value = check(session); value != kOk) {
    return value;
  }
  Ulong wanted = 0;
  for (Ulong i = 0; i < count; ++i) {
    if (attributes[i].type == kClass) {
      std::memcpy(&wanted, attributes[i].value, sizeof wanted);
    }
  }
  state().found.clear();
  if (wanted == kPrivateKeyObject || wanted == kPublicKeyObject) {
    state().found = {wanted == kPrivateKeyObject ? kPrivate : kPublic};
  }
  return kOk;
}

Rv find_objects(Ulong session, Ulong* objects, Ulong most, Ulong* count) {
  const std::lock_guard lock{state().mutex};
  if (const auto value = check(session); value != kOk) {
    return value;
  }
  const auto size = std::min<Ulong>(most, state().found.size());
  std::copy_n(state().found.begin(), size, objects);
  *count = fault("objects").value_or(size);
  return kOk;
}

Rv find_objects_final(Ulong session) {
  const std::lock_guard lock{state().mutex};
  return check(session);
}

Rv sign_init(Ulong session, Mechanism* mechanism, Ulong key) {
  const std::lock_guard lock{state().mutex};
  if (const auto value = check(session); value != kOk) {
    return value;
  }
  if (const auto value = fault("sign-init");
      value && state().signatures >= fault("after").value_or(0)) {
    return *value;
  }
  return mechanism->type == kEcdsa && key == kPrivate ? kOk : kTypeInvalid;
}

Rv sign(Ulong session, Byte* data, Ulong length, Byte* signature, Ulong* signature_length) {
  const std::lock_guard lock{state().mutex};
  if (const auto value = check(session); value != kOk) {
    return value;
  }
  std::string line = "sign ";
  for (Ulong i = 0; i < length; ++i) {
    std::array<char, 3> hex = {};
    std::snprintf(hex.data(), hex.size(), "%02x", data[i]);
    line += hex.data();
  }
  note(line);
  ++state().signatures;
  const auto raw = raw_signature(data, length);
  const auto said = fault("signature").value_or(raw.size());
  for (Ulong i = 0; i < std::min(said, *signature_length); ++i) {
    signature[i] = i < raw.size() ? raw[i] : Byte{0};
  }
  *signature_length = said;
  return kOk;
}

FunctionList list = {.version = {2, 40},
                     .initialize = initialize,
                     .finalize = finalize,
                     .get_info = nullptr,
                     .get_function_list = nullptr,
                     .get_slot_list = get_slot_list,
                     .get_slot_info = nullptr,
                     .get_token_info = get_token_info,
                     .mechanisms_and_pins = {},
                     .open_session = open_session,
                     .close_session = close_session,
                     .sessions = {},
                     .login = login,
                     .logout = nullptr,
                     .objects = {},
                     .get_attribute_value = get_attribute_value,
                     .set_attribute_value = nullptr,
                     .find_objects_init = find_objects_init,
                     .find_objects = find_objects,
                     .find_objects_final = find_objects_final,
                     .encrypt_decrypt_digest = {},
                     .sign_init = sign_init,
                     .sign = sign};

}  // namespace

// The name is the standard's.
extern "C" Rv C_GetFunctionList(FunctionList** result) {
  *result = &list;
  return kOk;
}
