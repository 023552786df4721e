// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace sphere::test {

// A complete manifest with `capabilities` as the text of its Capabilities, in one line.
inline std::string manifest_with(const std::string& capabilities,
                                 const std::string& type = "Default") {
  return R"({"SchemaVersion":1,"Name":"Sample","ComponentId":"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60",)"
         R"("EntryPoint":"/bin/app","CmdArgs":[],"Capabilities":)" +
         capabilities + R"(,"ApplicationType":")" + type + R"("})";
}

// `text` with the first `what` replaced.
inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

}  // namespace sphere::test
