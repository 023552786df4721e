// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The record in the mutable file, little-endian:
//
//   offset 0   4  magic "CNTR"
//          4   4  version of this layout, 1
//          8   4  counter
//         12   4  CRC-32 of the 12 bytes before
//
// The file holds two of them. A write goes to the one with the older counter, so that a power cut
// while writing leaves the newer one whole.
enum { kRecordSize = 16, kSlots = 2, kRecordVersion = 1 };

typedef struct {
  uint32_t counter;
} Record;

typedef enum {
  RecordState_Valid,
  RecordState_Empty,    // Nothing was ever written: all bytes zero or none there.
  RecordState_Corrupt,  // The checksum does not match.
  RecordState_Unknown   // Of another version: written by a newer app.
} RecordState;

void Record_Encode(const Record* record, uint8_t bytes[kRecordSize]);

// Reads a record from `size` bytes; `record` is changed only when it is valid.
RecordState Record_Decode(const uint8_t* bytes, size_t size, Record* record);

// Where a record with this counter stands in the file.
size_t Record_Offset(uint32_t counter);
