// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/event.h"

namespace sphere::recovery {

// What the last run on a board left: one JSON line for each step,
//
//   {"device":"...","set_sha256":"...","step":"write","image":"...","offset":0,
//    "verified":false,"t":1788000000}
//
// in a file of the board's own, which is named after its place until its device id is known. It
// helps; nothing depends on it: a lost or damaged journal costs time only.
class Journal {
 public:
  struct Line {
    std::string step;  // "done" when the run ended well.
    std::string image = {};
    std::uint64_t offset = 0;  // Bytes of all images that the board has taken.
    bool verified = false;
  };
  struct Last {
    std::string set_sha256;
    Line line;
  };

  // Makes `directory` (0700) and the file (0600) when they are missing. Errors: as system_error().
  [[nodiscard]] static Result<Journal> open(const std::filesystem::path& directory,
                                            std::string_view board,
                                            const crypto::Sha256Digest& set);

  // The last line of the run before; nothing when there is none, or it is damaged.
  [[nodiscard]] const std::optional<Last>& last() const { return last_; }
  // The board said who it is: from now on the journal is that device's. The last line of that
  // device's journal, if it has one, becomes last().
  [[nodiscard]] Result<void> rename_to(std::string_view device_id);
  // Appends a line and waits until it is on the disk.
  [[nodiscard]] Result<void> note(const Line& line, std::int64_t unix_seconds);

 private:
  Journal() = default;
  [[nodiscard]] Result<void> open_file(const std::filesystem::path& path);

  std::filesystem::path directory_;
  std::filesystem::path path_;
  std::string device_;
  std::string set_;
  Descriptor file_;
  std::optional<Last> last_;
};

}  // namespace sphere::recovery
