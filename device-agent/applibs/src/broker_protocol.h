/* SPDX-License-Identifier: MIT */
#ifndef SPHERE_BROKER_PROTOCOL_H
#define SPHERE_BROKER_PROTOCOL_H

#include <stdint.h>

/*
 * The messages between libapplibs in an app and the agent's broker, and between libapplibs and a
 * simulated peripheral. Private to this product: library and agent are shipped together. The file
 * is C and C++.
 *
 * Transport: AF_UNIX SOCK_SEQPACKET, one frame a packet, all integers little-endian:
 *
 *   0       2       4               8               12              16
 *   +-------+-------+---------------+---------------+---------------+------------- -
 *   |version| verb  | id            | status        | length        | payload
 *   +-------+-------+---------------+---------------+---------------+------------- -
 *
 * A reply repeats verb and id. status is 0 in a request; in a reply 0 or an errno number of
 * asm-generic. length is the size of the payload. Where a descriptor comes along (SCM_RIGHTS), the
 * reply's payload begins with the u8 kind of enum sphere_descriptor_kind. A request with another
 * version, an unknown verb or a payload of the wrong length is answered EPROTO; three in a row
 * close the socket. Verb numbers are grouped by capability and never reused.
 */

/* NOLINTBEGIN(cppcoreguidelines-macro-to-enum,modernize-macro-to-enum,performance-enum-size): C11
 * has no enum base. */

#define SPHERE_BROKER_VERSION 1
#define SPHERE_BROKER_FD 3 /* Descriptor of a new app process that holds its end. */
#define SPHERE_FRAME_HEADER 16
#define SPHERE_FRAME_MAX 4096 /* Header and payload. */
#define SPHERE_PAYLOAD_MAX (SPHERE_FRAME_MAX - SPHERE_FRAME_HEADER)
#define SPHERE_INTERFACE_NAME_MAX 16 /* With its NUL. */

struct sphere_frame_header {
  uint16_t version;
  uint16_t verb;
  uint32_t id;
  int32_t status;
  uint32_t length;
};

enum sphere_descriptor_kind {
  SPHERE_KIND_NONE = 0,
  SPHERE_KIND_GPIO = 1,
  SPHERE_KIND_UART = 2,
  SPHERE_KIND_I2C = 3,
  SPHERE_KIND_SPI = 4,
  SPHERE_KIND_ADC = 5,
  SPHERE_KIND_PWM = 6,
  SPHERE_KIND_FILE = 7,
  SPHERE_KIND_RTCORE = 8,
  SPHERE_KIND_POWER = 9
};

/* App to agent. "->" is the reply's payload when status is 0. */
enum sphere_broker_verb {
  SPHERE_VERB_HELLO = 0x0001, /* - -> u32 broker version */

  SPHERE_VERB_GPIO_IN = 0x0101,  /* i32 pin -> u8 kind + descriptor */
  SPHERE_VERB_GPIO_OUT = 0x0102, /* i32 pin, u8 mode, u8 value -> u8 kind + descriptor */
  SPHERE_VERB_UART_OPEN =
      0x0111, /* i32 id, u32 baud, u8 blocking, data, parity, stop, flow -> u8 kind + descriptor */

  SPHERE_VERB_FILE_OPEN = 0x0201,   /* - -> u8 kind + descriptor */
  SPHERE_VERB_FILE_DELETE = 0x0202, /* - -> - */
  SPHERE_VERB_FILE_USAGE = 0x0203,  /* - -> u64 bytes used, u64 bytes allowed */

  SPHERE_VERB_CONNECT = 0x0301, /* 16 bytes component id, stored order -> u8 kind + descriptor */
  SPHERE_VERB_DEVICE_AUTH_READY = 0x0302, /* - -> i32 0 or 1 */

  SPHERE_VERB_NET_READY = 0x0401, /* - -> i32 0 or 1 */
  SPHERE_VERB_NET_COUNT = 0x0402, /* - -> i32 number of interfaces */
  SPHERE_VERB_NET_INTERFACE =
      0x0403, /* u32 index -> char name[16], u8 enabled, u8 ip type, u8 medium */
  SPHERE_VERB_NET_STATUS = 0x0404,           /* char name[16] -> u32 mask */
  SPHERE_VERB_NET_HARDWARE_ADDRESS = 0x0405, /* char name[16] -> u8 address[6] */
  SPHERE_VERB_NET_SET_STATE = 0x0406,        /* char name[16], u8 enabled -> - */

  SPHERE_VERB_MEMORY_INFO = 0x0501, /* u32 attribute -> u64 KiB */
  SPHERE_VERB_OS_VERSION = 0x0502   /* - -> char version[16] */
};

/* On the descriptor of a simulated pin (kind gpio of a virtual board). */
enum sphere_gpio_verb {
  SPHERE_VERB_GPIO_GET = 0x0801, /* - -> i32 0 or 1 */
  SPHERE_VERB_GPIO_SET = 0x0802  /* u8 0 or 1 -> i32 0 */
};

/* NOLINTEND(cppcoreguidelines-macro-to-enum,modernize-macro-to-enum,performance-enum-size) */

#endif
