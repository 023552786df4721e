// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"

namespace sphere::agent {

// Empties the bounding set and locks SECBIT_NOROOT. Before change_user(), which can take
// CAP_SETPCAP away.
[[nodiscard]] Step drop_bounding_set();

// Empties the other capability sets and sets no_new_privs.
[[nodiscard]] Step drop_capabilities();

// Becomes `uid` and the group of the same number, for good.
[[nodiscard]] Step change_user(std::uint32_t uid);

// Layer L6, for this process and what it starts. False, with errno, where the kernel has it not.
[[nodiscard]] bool refuse_executable_pages();

// A key ring of this process's own; what it had is out of reach then.
[[nodiscard]] Step leave_key_ring();

// The limits of layer L8.
[[nodiscard]] Step set_limits(const Plan& plan);

}  // namespace sphere::agent
