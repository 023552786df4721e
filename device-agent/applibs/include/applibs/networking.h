/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * State of the network interfaces: "wlan0", "eth0". Functions that take a name fail with ENOENT
 * when no interface has it, and all may fail with EAGAIN while the network stack is not up.
 *
 * NETWORKING_STRUCTS_VERSION names the layout the source was written for.
 */
#ifndef NETWORKING_STRUCTS_VERSION
#define NETWORKING_STRUCTS_VERSION 1
#endif
#if NETWORKING_STRUCTS_VERSION != 1
#error NETWORKING_STRUCTS_VERSION must be 1
#endif

#define HARDWARE_ADDRESS_LENGTH 6

#ifdef __cplusplus
extern "C" {
#endif

/* Set of states of an interface. Each includes the ones before it. */
typedef uint32_t Networking_InterfaceConnectionStatus;
enum {
  Networking_InterfaceConnectionStatus_InterfaceUp = 1 << 0,
  Networking_InterfaceConnectionStatus_ConnectedToNetwork = 1 << 1,
  Networking_InterfaceConnectionStatus_IpAvailable = 1 << 2,
  Networking_InterfaceConnectionStatus_ConnectedToInternet = 1 << 3
};

typedef uint8_t Networking_IpType_Type;
typedef enum {
  Networking_IpType_DhcpNone = 0,  /* Static address. */
  Networking_IpType_DhcpClient = 1 /* Address from the network. */
} Networking_IpType;

typedef uint8_t Networking_InterfaceMedium_Type;
typedef enum {
  Networking_InterfaceMedium_Unspecified = 0,
  Networking_InterfaceMedium_Wifi = 1,
  Networking_InterfaceMedium_Ethernet = 2
} Networking_InterfaceMedium;

struct z__Networking_NetworkInterface_Base {
  uint32_t z__magicAndVersion;
};

struct z__Networking_NetworkInterface_v1 {
  uint32_t z__magicAndVersion; /* Written by Networking_GetInterfaces. */
  bool isEnabled;
  char interfaceName[IF_NAMESIZE]; /* Ends with NUL. */
  uint32_t reserved;
  Networking_IpType_Type ipConfigurationType;
  Networking_InterfaceMedium_Type interfaceMediumType;
};
typedef struct z__Networking_NetworkInterface_v1 Networking_NetworkInterface;

typedef struct Networking_Interface_HardwareAddress {
  uint8_t address[HARDWARE_ADDRESS_LENGTH];
} Networking_Interface_HardwareAddress;

/* Private to the inline functions below. */
ssize_t z__Networking_GetInterfaces(struct z__Networking_NetworkInterface_Base* array, size_t count,
                                    uint32_t structVersion);
ssize_t z__Networking_GetInterfaceOpt(const char* name, uint8_t attribute, void* buffer,
                                      size_t capacity);
enum { z__Networking_InterfaceOpt_HardwareAddress = 1 };

/*
 * True when an interface is up and connected, has an address, and the time is known. Never waits.
 * 0, or -1 with errno EFAULT.
 */
int Networking_IsNetworkingReady(bool* outIsNetworkingReady);

/* Number of interfaces, the same until the next boot. -1 with errno EAGAIN. */
ssize_t Networking_GetInterfaceCount(void);

/*
 * Describes the interfaces, as many as fit. Returns how many were written, or -1 with errno EFAULT
 * (NULL), ERANGE (a count of 0), EAGAIN.
 */
static inline ssize_t Networking_GetInterfaces(
    Networking_NetworkInterface* outNetworkInterfacesArray, size_t networkInterfacesArrayCount) {
  return z__Networking_GetInterfaces(
      (struct z__Networking_NetworkInterface_Base*)outNetworkInterfacesArray,
      networkInterfacesArrayCount, NETWORKING_STRUCTS_VERSION);
}

/* The last known state. 0, or -1 with errno EFAULT, ENOENT, EAGAIN. */
int Networking_GetInterfaceConnectionStatus(const char* networkInterfaceName,
                                            Networking_InterfaceConnectionStatus* outStatus);

/*
 * Switches an interface on or off, for good. Manifest: "NetworkConfig". 0, or -1 with errno EFAULT,
 * EACCES (capability), ENOENT, EPERM (not this interface), EAGAIN.
 */
int Networking_SetInterfaceState(const char* networkInterfaceName, bool isEnabled);

/* The interface's MAC address. 0, or -1 with errno EFAULT, ENOENT, EPERM (it has none), EAGAIN. */
static inline int Networking_GetHardwareAddress(const char* networkInterfaceName,
                                                Networking_Interface_HardwareAddress* outAddress) {
  if (outAddress == NULL) {
    errno = EFAULT;
    return -1;
  }
  return z__Networking_GetInterfaceOpt(networkInterfaceName,
                                       (uint8_t)z__Networking_InterfaceOpt_HardwareAddress,
                                       outAddress->address, sizeof(outAddress->address)) < 0
             ? -1
             : 0;
}

#ifdef __cplusplus
}
#endif
