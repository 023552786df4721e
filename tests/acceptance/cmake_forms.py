#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cmake_forms.py BUILD_DIRECTORY: the ways in which projects use the SDK's CMake files.

Small projects of our own are configured and built with a copy of the SDK under a path with a space.
The packer in the copy is a recorder, so that what it is asked to do can be compared; the real one is
tested elsewhere.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from product import Failed, skip  # noqa: E402

RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys
words = sys.argv[1:]
if words[:2] == ["hardware-definition", "generate-header"]:
    file = pathlib.Path(words[3])
    (file.parent / "inc/hw").mkdir(parents=True, exist_ok=True)
    (file.parent / "inc/hw" / (file.stem + ".h")).write_text("#define GENERATED_PIN (4)\\n")
    sys.exit(0)
options = dict(zip(words[3::2], words[4::2])) if words[2] == "--verbose" else {}
package = pathlib.Path(options["--package-directory"])
files = sorted(str(p.relative_to(package)) for p in package.rglob("*") if p.is_file())
pathlib.Path(options["--output-file"]).write_text(json.dumps({"words": words, "files": files}))
"""
MANIFEST = {"SchemaVersion": 1, "Name": "form", "ComponentId": "11111111-2222-3333-4444-555555555555",
            "EntryPoint": "/bin/app", "CmdArgs": [], "Capabilities": {}, "ApplicationType": "Default"}
PRESETS = {"version": 2, "configurePresets": [
    {"name": "ARM-Debug", "generator": "Ninja", "binaryDir": "${sourceDir}/out/${presetName}",
     "cacheVariables": {
         "CMAKE_BUILD_TYPE": "Debug",
         "CMAKE_TOOLCHAIN_FILE":
             "$env{AzureSphereDefaultSDKDir}/CMakeFiles/AzureSphereToolchain.cmake",
         "AZURE_SPHERE_TARGET_API_SET": "latest-lts"}},
    {"name": "ARM-Release", "inherits": "ARM-Debug",
     "cacheVariables": {"CMAKE_BUILD_TYPE": "Release"}}]}
HEAD = "cmake_minimum_required(VERSION 3.20)\nproject(form C)\nadd_executable(form main.c)\n"
LINK = "target_link_libraries(form applibs gcc_s c)\n"
PACK = "azsphere_target_add_image_package(form)\n"
MAIN = "#include <applibs/log.h>\nint main(void) { return Log_Debug(\"x\"); }\n"


def expect(is_met, what):
    if not is_met:
        raise Failed(what)


class Forms:
    """A home with a space in its path, an SDK and projects in it."""

    def __init__(self, build, home):
        self.home = home
        self.sdk = home / "an sdk"
        self.count = 0
        shutil.copytree(build / "sdk", self.sdk, symlinks=True,
                        ignore=shutil.ignore_patterns("Tools", "HardwareDefinitions", "Templates"))
        shutil.copytree(build / "sdk/HardwareDefinitions", self.sdk / "HardwareDefinitions")
        (self.sdk / "Tools").mkdir()
        (self.sdk / "Tools/sphere").write_text(RECORDER, encoding="ascii")
        (self.sdk / "Tools/sphere").chmod(0o755)

    def project(self, lists, files=None):
        self.count += 1
        folder = self.home / f"project {self.count}"
        content = {"CMakeLists.txt": lists, "main.c": MAIN,
                   "app_manifest.json": json.dumps(MANIFEST),
                   "CMakePresets.json": json.dumps(PRESETS), **(files or {})}
        for name, text in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    def cmake(self, folder, *words, **environment):
        full = {"PATH": os.environ["PATH"], "HOME": str(self.home),
                "AzureSphereDefaultSDKDir": f"{self.sdk}/", **environment}
        return subprocess.run(["cmake", *map(str, words)], cwd=folder, env=full, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def configure(self, folder, *words, **environment):
        """With the toolchain on the command line, as Visual Studio's settings did."""
        toolchain = f"{self.sdk}/CMakeFiles/AzureSphereToolchain.cmake"
        return self.cmake(folder, "-G", "Ninja", "-B", "out", "-DCMAKE_BUILD_TYPE=Release",
                          f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", *words, **environment)

    def make(self, folder, *words, **environment):
        """Configures and builds; returns what the packer was asked to do."""
        done = self.configure(folder, *words, **environment)
        expect(done.returncode == 0, f"configure failed\n{done.stdout}")
        self.build(folder / "out")
        return self.packed(folder / "out/form.imagepackage")

    def build(self, out):
        done = self.cmake(out, "--build", ".")
        expect(done.returncode == 0, f"build failed\n{done.stdout}")
        return done.stdout

    @staticmethod
    def packed(file):
        return json.loads(file.read_text(encoding="utf-8"))

    def refused(self, folder, text, *words, **environment):
        """Configuring must fail, and say `text`."""
        done = self.configure(folder, *words, **environment)
        plain = " ".join(done.stdout.split())  # CMake wraps lines.
        expect(done.returncode != 0 and text in plain,
               f"expected a failure with '{text}'\n{done.stdout}")


def after(words, option):
    return words[words.index(option) + 1]


def presets_with_and_without_slash(forms):
    folder = forms.project(HEAD + LINK + PACK)
    for sdk in (str(forms.sdk), f"{forms.sdk}/"):
        for preset in ("ARM-Debug", "ARM-Release"):
            shutil.rmtree(folder / "out", ignore_errors=True)
            done = forms.cmake(folder, "--preset", preset, AzureSphereDefaultSDKDir=sdk)
            expect(done.returncode == 0, f"{preset} with {sdk}\n{done.stdout}")
            forms.build(folder / "out" / preset)
            packed = forms.packed(folder / "out" / preset / "form.imagepackage")
            expect(packed["files"] == ["bin/app"], f"packed {packed['files']}")
            expect(after(packed["words"], "--target-api-set") == "15", f"{packed['words']}")
            again = forms.build(folder / "out" / preset)
            expect("no work to do" in again, f"a rebuild does something\n{again}")


def flags_of_the_two_configurations(forms):
    folder = forms.project(HEAD + LINK + PACK)
    for preset, flags in (("ARM-Debug", "-ggdb -O0"), ("ARM-Release", "-g1 -Os")):
        forms.cmake(folder, "--preset", preset)
        rules = (folder / "out" / preset / "build.ninja").read_text(encoding="utf-8")
        [line] = {line for line in rules.splitlines() if line.startswith("  FLAGS =")}
        for flag in (flags, "-march=armv7ve", "-mfpu=neon-vfpv4", "-std=c11", "-D_POSIX_C_SOURCE",
                     "-fno-exceptions", "-Werror=implicit-function-declaration", "--sysroot="):
            expect(flag in line, f"{preset}: no {flag} in {line}")
        expect("-DNDEBUG" not in line and "-O3" not in line, line)
    elf = subprocess.run(["arm-linux-gnueabihf-readelf", "-ldA", "-W",
                          str(forms_binary(forms, folder))], text=True, capture_output=True,
                         check=True).stdout
    for text in ("interpreter: /lib/ld-musl-armhf.so.1]", "[libapplibs.so.0]", "[libgcc_s.so.1]",
                 "[libc.so.1]", "GNU_RELRO", "Tag_ABI_VFP_args: VFP registers", "GNU_HASH"):
        expect(text in elf, f"the program has no {text}\n{elf}")
    size = (folder / "out/ARM-Release/approotform/bin/app").stat().st_size
    expect(size < 8192, f"the smallest program has {size} bytes")
    expect(elf.count("(NEEDED)") == 3 and elf.count("  LOAD ") == 2 and "RWE" not in elf, elf)


def forms_binary(forms, folder):
    forms.build(folder / "out/ARM-Release")
    return folder / "out/ARM-Release/approotform/bin/app"


def resources(forms):
    files = {"a.txt": "a", "certs/x y.pem": "b", "data/deep/z.bin": "c"}
    folder = forms.project(
        HEAD + LINK + 'azsphere_target_add_image_package(form RESOURCE_FILES a.txt "certs/x y.pem" '
        '"data\\\\deep\\\\z.bin")\n', files)
    packed = forms.make(folder)
    expect(packed["files"] == ["a.txt", "bin/app", "certs/x y.pem", "data/deep/z.bin"],
           f"packed {packed['files']}")
    (folder / "a.txt").write_text("changed", encoding="ascii")
    forms.build(folder / "out")
    expect((folder / "out/approotform/a.txt").read_text(encoding="ascii") == "changed", "a.txt is old")
    # A file that is not listed any more leaves the package.
    lists = folder / "CMakeLists.txt"
    lists.write_text(lists.read_text(encoding="utf-8").replace("RESOURCE_FILES a.txt",
                                                               "RESOURCE_FILES"), encoding="utf-8")
    forms.build(folder / "out")
    packed = forms.packed(folder / "out/form.imagepackage")
    expect("a.txt" not in packed["files"], f"packed {packed['files']}")


def bad_resources(forms):
    for name, text in (("/etc/passwd", "is not a path inside the project"),
                       ("../a.txt", "is not a path inside the project"),
                       ("certs/../../a.txt", "is not a path inside the project")):
        forms.refused(forms.project(HEAD + LINK + "azsphere_target_add_image_package(form "
                                    f"RESOURCE_FILES {name})\n"), text)
    folder = forms.project(
        HEAD + LINK + "azsphere_target_add_image_package(form RESOURCE_FILES no/such.file)\n")
    done = forms.configure(folder)
    expect(done.returncode == 0, done.stdout)
    built = forms.cmake(folder / "out", "--build", ".")
    expect(built.returncode != 0 and "no/such.file" in built.stdout, built.stdout)
    expect(not (folder / "out/form.imagepackage").exists(), "a package without its resource")


def api_sets(forms):
    plain = HEAD + LINK + PACK
    words = forms.make(forms.project(plain), "-DAZURE_SPHERE_TARGET_API_SET=latest-beta")["words"]
    expect(after(words, "--target-api-set") == "5+Beta2004", f"{words}")
    words = forms.make(forms.project(plain), AzureSphereTargetApiSet="12")["words"]
    expect(after(words, "--target-api-set") == "12", f"{words}")
    folder = forms.project(plain)
    forms.refused(folder, "Unknown API set 99.", "-DAZURE_SPHERE_TARGET_API_SET=99")
    forms.refused(folder, "has 2, 2+Beta1905, 3,", "-DAZURE_SPHERE_TARGET_API_SET=99")

    old = HEAD + ('azsphere_configure_tools(TOOLS_REVISION "20.10")\n'
                  'azsphere_configure_api(TARGET_API_SET "10")\n') + LINK + PACK
    words = forms.make(forms.project(old))["words"]
    expect(after(words, "--target-api-set") == "10", f"{words}")
    forms.refused(forms.project(old.replace('"10"', '"16"')), "unknown API set 16")
    forms.refused(forms.project(old.replace("TOOLS_REVISION ", "REVISION ")), "unknown argument")
    forms.refused(forms.project(old.replace('"20.10"', '"new"')), "is not of the form yy.mm")
    for revision, is_warned in (("20.08", True), ("26.11", False)):
        folder = forms.project(old.replace('"20.10"', f'"{revision}"'))
        done = forms.configure(folder)
        expect(done.returncode == 0 and ("no release" in done.stdout) == is_warned, done.stdout)


def definition(name):
    return json.dumps({"Metadata": {"Type": "Azure Sphere Hardware Definition", "Version": 1},
                       "Description": {"Name": name}, "Peripherals": []})


def hardware_definitions(forms):
    files = {"boards/one/inc/hw/one.h": "#define ONE 1\n", "boards/one/one.json": definition("one"),
             "boards/two/inc/hw/two.h": "#define TWO 2\n", "boards/two/two.json": definition("two"),
             "main.c": "#include <hw/one.h>\n#include <two.h>\n#include <hw/mt3620.h>\n"
                       "int main(void) { return ONE + TWO - 3; }\n"}
    use = ('azsphere_target_hardware_definition(form TARGET_DIRECTORY "boards/one" '
           '"${CMAKE_SOURCE_DIR}/boards/two" TARGET_DEFINITION "two.json")\n')
    folder = forms.project(HEAD + use + LINK + PACK, files)
    words = forms.make(folder)["words"]
    expect(after(words, "--hardware-definitions").split(",") ==
           [f"{folder}/boards/one", f"{folder}/boards/two", f"{forms.sdk}/HardwareDefinitions"],
           f"{words}")
    expect(after(words, "--target-definition-filename") == "two.json", f"{words}")
    # None given: the SDK's. After the package call, too.
    sdk_use = ("azsphere_target_hardware_definition(form TARGET_DIRECTORY "
               '"${AZURE_SPHERE_SDK_PATH}/HardwareDefinitions" TARGET_DEFINITION mt3620.json)\n')
    for lists in (HEAD + sdk_use + LINK + PACK, HEAD + LINK + PACK + sdk_use):
        words = forms.make(forms.project(lists))["words"]
        expect(after(words, "--hardware-definitions") == f"{forms.sdk}/HardwareDefinitions", f"{words}")


def definition_without_header(forms):
    files = {"board/new.json": definition("new"),
             "main.c": "#include <hw/new.h>\nint main(void) { return GENERATED_PIN - 4; }\n"}
    use = "azsphere_target_hardware_definition(form TARGET_DIRECTORY board TARGET_DEFINITION new.json)\n"
    folder = forms.project(HEAD + use + LINK + PACK, files)
    forms.make(folder)
    expect(not (folder / "board/inc").exists(), "the header was written into the source tree")


def bad_hardware_definitions(forms):
    files = {"board/inc/hw/b.h": "", "board/b.json": definition("b"), "board/dir.json/x": "",
             "board/b.txt": "", "file": ""}
    for arguments, text in (
            ("TARGET_DIRECTORY board", "TARGET_DEFINITION is missing"),
            ("TARGET_DIRECTORY none TARGET_DEFINITION b.json", "/none does not exist"),
            ("TARGET_DIRECTORY file TARGET_DEFINITION b.json", "/file is not a directory"),
            ("TARGET_DIRECTORY board TARGET_DEFINITION c.json", "TARGET_DEFINITION c.json is in none of"),
            ("TARGET_DIRECTORY board TARGET_DEFINITION dir.json", "dir.json is a directory"),
            ("TARGET_DIRECTORY board TARGET_DEFINITION b.txt", "is not a .json file"),
            ("board TARGET_DEFINITION b.json", "unknown argument board")):
        lists = HEAD + f"azsphere_target_hardware_definition(form {arguments})\n" + LINK + PACK
        forms.refused(forms.project(lists, files), text)


def other_lists(forms):
    forms.make(forms.project(HEAD + PACK + LINK))  # Libraries after the package.
    forms.make(forms.project(HEAD + LINK + 'include("${AZURE_SPHERE_MAKE_IMAGE_FILE}")\n'))
    forms.make(forms.project(HEAD + LINK + PACK), "-DAZURE_SPHERE_LTO=ON")
    words = forms.make(forms.project(HEAD + LINK + PACK), "-DSPHERE_NO_SOURCE_WRITES=ON")["words"]
    expect(words[-1] == "--frozen", f"{words}")
    words = forms.make(forms.project(HEAD + LINK + PACK),
                       f"-DAZURE_SPHERE_TARGET_HARDWARE_DEFINITION_DIRECTORY={forms.sdk}/HardwareDefinitions",
                       "-DAZURE_SPHERE_TARGET_HARDWARE_DEFINITION=mt3620.json")["words"]
    expect(after(words, "--target-definition-filename") == "mt3620.json", f"{words}")
    lists = HEAD + LINK + "azsphere_target_add_image_package(form APP_MANIFEST other/m.json)\n"
    folder = forms.project(lists, {"other/m.json": json.dumps(MANIFEST)})
    words = forms.make(folder)["words"]
    expect(after(words, "--application-manifest") == f"{folder}/other/m.json", f"{words}")
    forms.refused(forms.project(HEAD + LINK + PACK.replace("form", "none")), "there is no target none")
    forms.refused(forms.project(lists), "/other/m.json does not exist")
    forms.refused(forms.project(HEAD + LINK + "azsphere_target_add_image_package(form DEBUG_LIB libx)\n"),
                  "libx is unknown")
    text = HEAD + 'file(WRITE "${CMAKE_BINARY_DIR}/seen" "${AZURE_SPHERE_APP_MANIFEST_CONTENTS}")\n'
    folder = forms.project(text + LINK + PACK)
    forms.make(folder)
    expect(json.loads((folder / "out/seen").read_text(encoding="utf-8")) == MANIFEST, "manifest text")


def two_packages_in_one_build(forms):
    sub = "add_executable(second ../main.c)\ntarget_link_libraries(second applibs gcc_s c)\n" \
          "azsphere_target_add_image_package(second)\n"
    folder = forms.project(HEAD + LINK + PACK + "add_subdirectory(sub)\n", {"sub/CMakeLists.txt": sub})
    forms.make(folder)
    packed = forms.packed(folder / "out/sub/second.imagepackage")
    expect(packed["files"] == ["bin/app"], f"{packed}")
    expect("no work to do" in forms.build(folder / "out"), "a rebuild does something")


def only_ninja(forms):
    done = forms.cmake(forms.project(HEAD + LINK + PACK), "-G", "Unix Makefiles", "-B", "out",
                       f"-DCMAKE_TOOLCHAIN_FILE={forms.sdk}/CMakeFiles/AzureSphereToolchain.cmake")
    expect(done.returncode != 0 and "must use the Ninja generator" in " ".join(done.stdout.split()),
           done.stdout)


def local_toolchain_of_a_real_time_app(forms):
    """The form of vendors' copies: sets three variables and includes the base file."""
    toolchain = """
set(AS_INT_APP_TYPE "RTApp" CACHE INTERNAL "")
set(AZURE_SPHERE_CMAKE_PATH "$ENV{AzureSphereDefaultSDKDir}CMakeFiles")
set(AZURE_SPHERE_SDK_PATH "$ENV{AzureSphereDefaultSDKDir}" CACHE INTERNAL "")
include("${AZURE_SPHERE_CMAKE_PATH}/AzureSphereToolchainBase.cmake")
set(ARM_GNU_BIN_PATH $ENV{ArmGnuBinPath})
set(CMAKE_C_COMPILER "${ARM_GNU_BIN_PATH}/arm-none-eabi-gcc" CACHE INTERNAL "")
set(CMAKE_STRIP "${ARM_GNU_BIN_PATH}/arm-none-eabi-strip" CACHE INTERNAL "")
set(CMAKE_C_FLAGS_INIT "-mthumb -march=armv7ve -mfpu=neon-vfpv4 -nostdlib -static -no-pie -fno-pie")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostartfiles -Wl,-n -T \\"${CMAKE_SOURCE_DIR}/linker.ld\\"")
"""
    files = {"toolchain.cmake": toolchain, "main.c": "void start(void);\nvoid start(void) { for (;;) {} }\n",
             "linker.ld": "ENTRY(start)\nSECTIONS { . = 0x100000; .text : { *(.text*) } }\n"}
    lists = HEAD + 'azsphere_configure_tools(TOOLS_REVISION "20.10")\n' \
                   'azsphere_configure_api(TARGET_API_SET "99")\ntarget_link_libraries(form)\n' + PACK
    # The compiler for Linux stands in for arm-none-eabi-gcc: the CMake side is what is tested.
    compiler = forms.home / "gnu arm/bin"
    compiler.mkdir(parents=True)
    for tool in ("gcc", "strip"):
        (compiler / f"arm-none-eabi-{tool}").symlink_to(shutil.which(f"arm-linux-gnueabihf-{tool}"))
    for path in (compiler, compiler.parent, f"{compiler.parent}/", str(compiler).replace("/bin", "\\bin")):
        folder = forms.project(lists, files)
        done = forms.cmake(folder, "-G", "Ninja", "-B", "out", "-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake",
                           f"-DARM_GNU_PATH={path}")
        expect(done.returncode == 0, f"ARM_GNU_PATH={path}\n{done.stdout}")
        expect("no meaning for real-time capable apps" in " ".join(done.stdout.split()), done.stdout)
        forms.build(folder / "out")
        words = forms.packed(folder / "out/form.imagepackage")["words"]
        expect("--target-api-set" not in words, f"{words}")


def real_time_toolchain_without_compiler(forms):
    done = forms.cmake(
        forms.project(HEAD + PACK), "-G", "Ninja", "-B", "out", "-DARM_GNU_PATH=/no/such/folder",
        f"-DCMAKE_TOOLCHAIN_FILE={forms.sdk}/CMakeFiles/AzureSphereRTCoreToolchain.cmake")
    expect(done.returncode != 0 and "install gcc-arm-none-eabi" in " ".join(done.stdout.split()),
           done.stdout)


def native_build_with_tests(forms):
    lists = HEAD + LINK + PACK + "include(CTest)\nadd_test(NAME form COMMAND form)\n"
    folder = forms.project(lists)
    toolchain = f"{forms.sdk}/CMakeFiles/AzureSphereNativeToolchain.cmake"
    done = forms.cmake(folder, "-G", "Ninja", "-B", "out", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}")
    expect(done.returncode == 0, done.stdout)
    forms.build(folder / "out")
    tested = subprocess.run(["ctest", "--test-dir", "out"], cwd=folder, text=True, capture_output=True,
                            check=False)
    expect(tested.returncode == 0, tested.stdout)
    expect(not list((folder / "out").glob("*.imagepackage")), "a package of a native build")


def project_in_cpp(forms):
    """The parts of the C++ library that are headers only."""
    if not shutil.which("arm-linux-gnueabihf-g++"):
        folder = forms.project(HEAD.replace(" C)", " CXX)").replace("main.c", "main.cpp") + LINK + PACK)
        forms.refused(folder, "apt-get install g++-arm-linux-gnueabihf")
        return
    source = ("#include <algorithm>\n#include <array>\n#include <optional>\n#include <span>\n"
              "#include <applibs/log.h>\nint main() { std::array a{3, 1, 2}; std::sort(a.begin(), a.end());\n"
              "std::optional<int> first = std::span(a)[0]; return Log_Debug(\"%d\", *first); }\n")
    lists = (HEAD.replace(" C)", " CXX)").replace("main.c", "main.cpp")
             + "target_compile_features(form PRIVATE cxx_std_20)\n" + LINK + PACK)
    forms.make(forms.project(lists, {"main.cpp": source}))


FORMS = (presets_with_and_without_slash, flags_of_the_two_configurations, resources, bad_resources,
         api_sets, hardware_definitions, definition_without_header, bad_hardware_definitions,
         other_lists, project_in_cpp, two_packages_in_one_build, only_ninja, local_toolchain_of_a_real_time_app,
         real_time_toolchain_without_compiler, native_build_with_tests)


def main(build):
    if not (pathlib.Path(build) / "sdk/VERSION").exists():
        skip("no SDK folder: this build has SPHERE_SDK_TREE=OFF")
    with tempfile.TemporaryDirectory(prefix="sphere forms ") as folder:
        forms = Forms(pathlib.Path(build).resolve(), pathlib.Path(folder))
        for form in FORMS:
            try:
                form(forms)
            except Failed as error:
                raise Failed(f"{form.__name__}: {error}") from error
            print(f"{form.__name__}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
