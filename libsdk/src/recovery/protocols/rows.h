// SPDX-License-Identifier: MIT
#pragma once

#include "sphere/core/result.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

// What every protocol says of a set with a recovery.json. Errors: invalid_argument (--board names
// another board).
[[nodiscard]] Result<PreparedRecovery> describe_plan(const RecoveryRequest& request);

// One function for each row of the table (../table.cpp), in the file of its name. A row with USB
// ids adds lines to packaging/udev/70-sphere.rules: sphere doctor --print-udev writes that file,
// and tests/cli/doctor.txt compares it.
[[nodiscard]] Protocol mt3620_protocol();
[[nodiscard]] Protocol sphere_v3_protocol();
[[nodiscard]] Protocol fastboot_protocol();
[[nodiscard]] Protocol stm32_protocol();
[[nodiscard]] Protocol dfu_protocol();
[[nodiscard]] Protocol esp_protocol();
[[nodiscard]] Protocol firehose_protocol();
[[nodiscard]] Protocol sdp_protocol();
[[nodiscard]] Protocol sdp_uart_protocol();
[[nodiscard]] Protocol xmodem_protocol();

}  // namespace sphere::recovery
