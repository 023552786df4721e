// SPDX-License-Identifier: MIT
#pragma once

// Versions of the structs of applibs that this app is written for.
#define NETWORKING_STRUCTS_VERSION 1
#define SPI_STRUCTS_VERSION 1
#define UART_STRUCTS_VERSION 1
#define WIFICONFIG_STRUCTS_VERSION 1
