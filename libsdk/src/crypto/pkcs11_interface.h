// SPDX-License-Identifier: MIT
#pragma once

#include <array>

// What this module uses of PKCS#11 2.40 (OASIS standard, "Cryptographic Token Interface Base
// Specification"), declared anew: types, the order of the function list, and constants. On Linux
// the structures have the platform's natural alignment.
namespace sphere::crypto::pkcs11 {

using Ulong = unsigned long;
using Byte = unsigned char;
using Rv = Ulong;

inline constexpr Rv kOk = 0x0;
inline constexpr Rv kDeviceError = 0x30;
inline constexpr Rv kDeviceRemoved = 0x32;
inline constexpr Rv kPinIncorrect = 0xA0;
inline constexpr Rv kPinInvalid = 0xA1;
inline constexpr Rv kPinLenRange = 0xA2;
inline constexpr Rv kPinLocked = 0xA4;
inline constexpr Rv kSessionClosed = 0xB0;
inline constexpr Rv kSessionHandleInvalid = 0xB3;
inline constexpr Rv kTokenNotPresent = 0xE0;
inline constexpr Rv kUserAlreadyLoggedIn = 0x100;
inline constexpr Rv kAlreadyInitialized = 0x191;

inline constexpr Ulong kOsLockingOk = 0x2;    // Flag of InitializeArguments.
inline constexpr Ulong kSerialSession = 0x4;  // Flag of C_OpenSession.
inline constexpr Ulong kUser = 1;             // C_Login
inline constexpr Ulong kLoginRequired = 0x4;  // Flags of TokenInfo.
inline constexpr Ulong kTokenInitialized = 0x400;
inline constexpr Ulong kPinFinalTry = 0x20000;
inline constexpr Ulong kPinLockedFlag = 0x40000;

inline constexpr Ulong kClass = 0x0;  // Attribute types.
inline constexpr Ulong kLabel = 0x3;
inline constexpr Ulong kValue = 0x11;
inline constexpr Ulong kKeyType = 0x100;
inline constexpr Ulong kId = 0x102;
inline constexpr Ulong kEcParams = 0x180;
inline constexpr Ulong kEcPoint = 0x181;

inline constexpr Ulong kCertificateObject = 1;  // Object classes.
inline constexpr Ulong kPublicKeyObject = 2;
inline constexpr Ulong kPrivateKeyObject = 3;
inline constexpr Ulong kEcKey = 3;       // Key type.
inline constexpr Ulong kEcdsa = 0x1041;  // Mechanism: signs a digest.
inline constexpr Ulong kUnavailable = ~Ulong{0};

struct Version {
  Byte major;
  Byte minor;
};

struct InitializeArguments {
  void* create_mutex;
  void* destroy_mutex;
  void* lock_mutex;
  void* unlock_mutex;
  Ulong flags;
  void* reserved;
};

struct TokenInfo {
  std::array<Byte, 32> label;  // Padded with blanks, as the three below.
  std::array<Byte, 32> manufacturer;
  std::array<Byte, 16> model;
  std::array<Byte, 16> serial;
  Ulong flags;
  std::array<Ulong, 10> counts;  // Sessions, PIN lengths, memory: not used here.
  Version hardware;
  Version firmware;
  std::array<Byte, 16> time;
};

struct Attribute {
  Ulong type;
  void* value;
  Ulong length;
};

struct Mechanism {
  Ulong type;
  void* parameter;
  Ulong length;
};

using Unused = void (*)();

// The functions in the order of the standard, as far as they are used.
struct FunctionList {
  Version version;
  Rv (*initialize)(void* arguments);
  Rv (*finalize)(void* reserved);
  Unused get_info;
  Unused get_function_list;
  Rv (*get_slot_list)(Byte token_present, Ulong* slots, Ulong* count);
  Unused get_slot_info;
  Rv (*get_token_info)(Ulong slot, TokenInfo* info);
  std::array<Unused, 5> mechanisms_and_pins;  // Mechanism list and info, InitToken, two PIN calls.
  Rv (*open_session)(Ulong slot, Ulong flags, void* application, void* notify, Ulong* session);
  Rv (*close_session)(Ulong session);
  std::array<Unused, 4> sessions;  // Close all, info, get and set operation state.
  Rv (*login)(Ulong session, Ulong user, Byte* pin, Ulong length);
  Rv (*logout)(Ulong session);
  std::array<Unused, 4> objects;  // Create, copy, destroy, size.
  Rv (*get_attribute_value)(Ulong session, Ulong object, Attribute* attributes, Ulong count);
  Unused set_attribute_value;
  Rv (*find_objects_init)(Ulong session, Attribute* attributes, Ulong count);
  Rv (*find_objects)(Ulong session, Ulong* objects, Ulong most, Ulong* count);
  Rv (*find_objects_final)(Ulong session);
  std::array<Unused, 13> encrypt_decrypt_digest;  // Four, four and five.
  Rv (*sign_init)(Ulong session, Mechanism* mechanism, Ulong key);
  Rv (*sign)(Ulong session, Byte* data, Ulong length, Byte* signature, Ulong* signature_length);
};

using GetFunctionList = Rv (*)(FunctionList** list);

}  // namespace sphere::crypto::pkcs11
