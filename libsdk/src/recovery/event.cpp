// SPDX-License-Identifier: MIT
#include "sphere/recovery/event.h"

#include <string_view>

namespace sphere::recovery {

std::string_view to_text(Step step) {
  switch (step) {
    case Step::find:
      return "find";
    case Step::claim:
      return "claim";
    case Step::enter:
      return "enter";
    case Step::identify:
      return "identify";
    case Step::preflight:
      return "preflight";
    case Step::loader:
      return "loader";
    case Step::inventory:
      return "inventory";
    case Step::erase:
      return "erase";
    case Step::write:
      return "write";
    case Step::verify:
      return "verify";
    case Step::reboot:
      return "reboot";
    case Step::confirm:
      return "confirm";
  }
  return "";
}

std::string_view to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::no:
      return "no";
    case Verdict::yes:
      return "yes";
    case Verdict::unknown:
      return "unknown";
  }
  return "";
}

}  // namespace sphere::recovery
