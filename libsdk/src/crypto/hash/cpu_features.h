// SPDX-License-Identifier: MIT
#pragma once

namespace sphere::crypto {

// Each asks the processor (CPUID, HWCAP) anew; vector sets also count only if the operating system
// saves their registers (XCR0).
[[nodiscard]] bool cpu_has_sha();     // x86: SHA with SSSE3 and SSE4.1. ARMv8: SHA2.
[[nodiscard]] bool cpu_has_avx2();    // With YMM state.
[[nodiscard]] bool cpu_has_avx512();  // F, BW and VL, with opmask and ZMM state.

}  // namespace sphere::crypto
