// SPDX-License-Identifier: MIT
#include "record.h"

#include <stdio.h>
#include <string.h>

static int failures = 0;

static void check(bool condition, const char* what) {
  if (!condition) {
    fprintf(stderr, "failed: %s\n", what);
    ++failures;
  }
}

int main(void) {
  const Record written = {.counter = 0x01020304};
  Record read = {.counter = 0};
  uint8_t bytes[kRecordSize];
  Record_Encode(&written, bytes);
  check(Record_Decode(bytes, sizeof(bytes), &read) == RecordState_Valid, "a record is valid");
  check(read.counter == written.counter, "the counter comes back");
  check(bytes[8] == 4 && bytes[11] == 1, "the counter is little-endian");

  for (size_t i = 0; i < sizeof(bytes); ++i) {
    bytes[i] ^= 0x10;
    check(Record_Decode(bytes, sizeof(bytes), &read) == RecordState_Corrupt,
          "a changed byte is found");
    bytes[i] ^= 0x10;
  }
  for (size_t size = 1; size < sizeof(bytes); ++size) {
    check(Record_Decode(bytes, size, &read) == RecordState_Corrupt, "a cut record is found");
  }
  memset(bytes, 0, sizeof(bytes));
  check(Record_Decode(bytes, 0, &read) == RecordState_Empty, "no bytes are an empty record");
  check(Record_Decode(bytes, sizeof(bytes), &read) == RecordState_Empty, "zeros are empty");
  check(Record_Offset(1) != Record_Offset(2), "the next record leaves the last one alone");
  return failures == 0 ? 0 : 1;
}
