// SPDX-License-Identifier: MIT
#include "record.h"

#include <string.h>

enum { kVersionOffset = 4, kCounterOffset = 8, kChecksumOffset = 12 };

static const uint8_t kMagic[4] = {'C', 'N', 'T', 'R'};

static void put_u32(uint8_t* bytes, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) {
    bytes[i] = (uint8_t)(value >> (8 * i));
  }
}

static uint32_t get_u32(const uint8_t* bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= (uint32_t)bytes[i] << (8 * i);
  }
  return value;
}

// CRC-32 as in Ethernet and zip files: polynomial 0x04C11DB7, reflected.
static uint32_t crc32(const uint8_t* bytes, size_t size) {
  uint32_t crc = 0xFFFFFFFFU;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    }
  }
  return ~crc;
}

static bool is_all_zero(const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] != 0) {
      return false;
    }
  }
  return true;
}

void Record_Encode(const Record* record, uint8_t bytes[kRecordSize]) {
  memcpy(bytes, kMagic, sizeof(kMagic));
  put_u32(bytes + kVersionOffset, kRecordVersion);
  put_u32(bytes + kCounterOffset, record->counter);
  put_u32(bytes + kChecksumOffset, crc32(bytes, kChecksumOffset));
}

RecordState Record_Decode(const uint8_t* bytes, size_t size, Record* record) {
  if (size == 0 || is_all_zero(bytes, size)) {
    return RecordState_Empty;
  }
  if (size < kRecordSize || memcmp(bytes, kMagic, sizeof(kMagic)) != 0 ||
      get_u32(bytes + kChecksumOffset) != crc32(bytes, kChecksumOffset)) {
    return RecordState_Corrupt;
  }
  if (get_u32(bytes + kVersionOffset) != kRecordVersion) {
    return RecordState_Unknown;
  }
  record->counter = get_u32(bytes + kCounterOffset);
  return RecordState_Valid;
}

size_t Record_Offset(uint32_t counter) { return (counter % kSlots) * kRecordSize; }
