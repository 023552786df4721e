// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/hash/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace sphere::crypto {
namespace {

#if defined(__x86_64__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf) {
  Registers r;  // Stays zero when the processor has no such leaf.
  __get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// Intel SDM volume 1, 13.3: XCR0 names the register sets that the operating system saves. XGETBV
// is there only if CPUID.1:ECX.OSXSAVE says so.
std::uint64_t saved_register_sets() {
  constexpr unsigned kOsXsave = 1U << 27;
  if ((cpuid(1).ecx & kOsXsave) == 0) {
    return 0;
  }
  // NOLINTBEGIN(misc-const-correctness): the instruction writes them.
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  // NOLINTEND(misc-const-correctness)
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

constexpr std::uint64_t kYmmState = 0x06;  // XMM, upper halves of YMM.
constexpr std::uint64_t kZmmState = 0xE6;  // Those, opmasks, upper halves of ZMM0-15, ZMM16-31.

bool has_all(std::uint64_t value, std::uint64_t bits) { return (value & bits) == bits; }

#endif

}  // namespace

#if defined(__x86_64__)

bool cpu_has_sha() {
  constexpr unsigned kSsse3 = 1U << 9;
  constexpr unsigned kSse41 = 1U << 19;
  constexpr unsigned kSha = 1U << 29;
  return has_all(cpuid(1).ecx, kSsse3 | kSse41) && has_all(cpuid(7).ebx, kSha);
}

bool cpu_has_avx2() {
  constexpr unsigned kAvx2 = 1U << 5;
  return has_all(cpuid(7).ebx, kAvx2) && has_all(saved_register_sets(), kYmmState);
}

bool cpu_has_avx512() {
  constexpr unsigned kFoundation = 1U << 16;
  constexpr unsigned kByteWord = 1U << 30;
  constexpr unsigned kVectorLength = 1U << 31;
  return has_all(cpuid(7).ebx, kFoundation | kByteWord | kVectorLength) &&
         has_all(saved_register_sets(), kZmmState);
}

#elif defined(__aarch64__) && defined(__linux__)

bool cpu_has_sha() {
  constexpr unsigned long kSha2 = 1UL << 6;  // HWCAP_SHA2 of the kernel's arm64 ABI.
  return (getauxval(AT_HWCAP) & kSha2) != 0;
}
bool cpu_has_avx2() { return false; }
bool cpu_has_avx512() { return false; }

#else

bool cpu_has_sha() { return false; }
bool cpu_has_avx2() { return false; }
bool cpu_has_avx512() { return false; }

#endif

}  // namespace sphere::crypto
