// SPDX-License-Identifier: MIT
// sphere-launch: started by sphered, once for each start of an app, as the first process of the
// app's namespaces. It takes no arguments and is of no use by hand.
#include "device-agent/agent/sandbox/launch.h"

int main() { return sphere::agent::run_launcher(); }
