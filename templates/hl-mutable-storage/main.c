// SPDX-License-Identifier: MIT
// Counts how often the app has started, across restarts and power cuts, in the mutable file.
#include <applibs/log.h>
#include <applibs/storage.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "applibs_versions.h"
#include "record.h"

// What the device reports when the app ends.
typedef enum {
  ExitCode_Success = 0,
  ExitCode_HandleSigterm = 1,
  ExitCode_OpenFile = 2,
  ExitCode_ReadFile = 3,
  ExitCode_NewerFile = 4,
  ExitCode_WriteFile = 5
} ExitCode;

static volatile sig_atomic_t terminated = 0;

static void on_sigterm(int number) {
  (void)number;
  terminated = 1;
}

// SIGTERM arrives only while `wait_for_end` waits, so it cannot be missed.
static int hold_sigterm(sigset_t* without_sigterm) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_sigterm;
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &held, without_sigterm) != 0) {
    return -1;
  }
  sigdelset(without_sigterm, SIGTERM);
  return sigaction(SIGTERM, &action, NULL);
}

static void wait_for_end(const sigset_t* without_sigterm) {
  while (!terminated) {
    sigsuspend(without_sigterm);
  }
}

// Reads the newest whole record; without one, `newest` stays as it is.
static ExitCode read_newest(int file, Record* newest) {
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    uint8_t bytes[kRecordSize];
    const ssize_t size = pread(file, bytes, sizeof(bytes), (off_t)Record_Offset(slot));
    if (size < 0) {
      Log_Debug("ERROR: cannot read the file: %s (%d)\n", strerror(errno), errno);
      return ExitCode_ReadFile;
    }
    Record record = {.counter = 0};
    switch (Record_Decode(bytes, (size_t)size, &record)) {
      case RecordState_Valid:
        if (record.counter > newest->counter) {
          *newest = record;
        }
        break;
      case RecordState_Empty:
        break;
      case RecordState_Corrupt:
        Log_Debug("WARNING: record %u is corrupt and not used\n", (unsigned)slot);
        break;
      case RecordState_Unknown:
        Log_Debug("ERROR: the file is from a newer version of this app\n");
        return ExitCode_NewerFile;
    }
  }
  return ExitCode_Success;
}

static ExitCode write_record(int file, const Record* record) {
  uint8_t bytes[kRecordSize];
  Record_Encode(record, bytes);
  const ssize_t written = pwrite(file, bytes, sizeof(bytes), (off_t)Record_Offset(record->counter));
  if (written != (ssize_t)sizeof(bytes) || fsync(file) != 0) {
    Log_Debug("ERROR: cannot write the file: %s (%d)\n", strerror(errno), errno);
    return ExitCode_WriteFile;
  }
  return ExitCode_Success;
}

static ExitCode count_this_start(void) {
  const int file = Storage_OpenMutableFile();
  if (file == -1) {
    Log_Debug("ERROR: cannot open the mutable file: %s (%d). Is it in app_manifest.json?\n",
              strerror(errno), errno);
    return ExitCode_OpenFile;
  }
  Record record = {.counter = 0};
  ExitCode code = read_newest(file, &record);
  if (code == ExitCode_Success) {
    ++record.counter;
    code = write_record(file, &record);
  }
  close(file);
  if (code == ExitCode_Success) {
    Log_Debug("Start number %u\n", (unsigned)record.counter);
  }
  return code;
}

int main(void) {
  sigset_t without_sigterm;
  if (hold_sigterm(&without_sigterm) != 0) {
    return ExitCode_HandleSigterm;
  }
  const ExitCode code = count_this_start();
  if (code == ExitCode_Success) {
    wait_for_end(&without_sigterm);
  }
  return code;
}
