#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
import unittest

import check_text

SPDX = "// " + check_text.SPDX + "\n"


class CheckText(unittest.TestCase):
    def refused(self, name, text):
        return list(check_text.problems_in(name, text))

    def test_clean_file(self):
        self.assertEqual(self.refused("cli/a.cpp", SPDX + "int main() {}\n"), [])

    def test_each_rule(self):
        for name, line in [
            ("cli/a.cpp", "using namespace std;"),
            ("cli/CMakeLists.txt", "file(GLOB x *.cpp)"),
            ("cli/CMakeLists.txt", "set(CMAKE_CXX_FLAGS -O2)"),
            ("cli/CMakeLists.txt", "include_directories(x)"),
            ("cli/a.cpp", "// TO" + "DO: later"),
            ("cli/a.cpp", "int a;  "),
        ]:
            with self.subTest(line=line):
                text = (SPDX if name.endswith(".cpp") else "") + line + "\n"
                self.assertEqual(len(self.refused(name, text)), 1)

    def test_missing_license_and_length(self):
        self.assertEqual(len(self.refused("cli/a.h", "int a;\n")), 1)
        self.assertEqual(len(self.refused("cli/a.h", SPDX + "\n" * check_text.LONGEST)), 1)
        self.assertEqual(len(self.refused("cli/main.cpp", SPDX + "\n" * check_text.MAIN_LONGEST)), 1)


if __name__ == "__main__":
    unittest.main()
