// SPDX-License-Identifier: MIT
#pragma once

// lwIP as Debian builds it: a part of its options header declares functions without C linkage.
extern "C" {
// IWYU pragma: begin_exports
#include <lwip/err.h>
#include <lwip/ip4.h>
#include <lwip/ip_addr.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
// IWYU pragma: end_exports
}
