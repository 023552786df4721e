// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/rest/services.h"

namespace sphere::agent {

// After a change of state or of the installed capability file: stops and erases, with their
// storage, the apps that only a development key signed, unless `stays`. A note of the change was
// made before it (BoardState::note_leaving_development()), so what a power cut interrupts goes on
// at the next start.
void leave_development(Services& services, bool stays);

}  // namespace sphere::agent
