// SPDX-License-Identifier: MIT
// The hashing engine against one OpenSSL SHA-256 stream, in interleaved rounds. Every row's result
// is compared with OpenSSL's before anything is timed.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/crypto/hash/backend.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/block_io.h"
#include "sphere/image/merkle.h"
#include "tests/bench/hashing/measure.h"

namespace {

using sphere::bench::compare;
using sphere::bench::Row;
using sphere::crypto::HashEngine;
using sphere::crypto::Sha256Digest;
using sphere::image::kMerkleBlockSize;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kMebibyte = 1U << 20U;
constexpr std::size_t kRun = 256 * 1024;

struct Options {
  int rounds = 7;
  std::vector<std::size_t> mebibytes = {64, 1024};
};

[[noreturn]] void stop(std::string_view reason) {
  fmt::print(stderr, "hash_bench: {}\n", reason);
  std::exit(EXIT_FAILURE);
}

template <typename T>
T must(sphere::Result<T> result) {
  if (!result) {
    stop(result.error().message());
  }
  return *std::move(result);
}

void must_equal(const auto& a, const auto& b, std::string_view what) {
  if (a != b) {
    stop(fmt::format("{}: the digests differ from OpenSSL's", what));
  }
}

Bytes random_bytes(std::size_t size) {
  std::mt19937_64 random{1};
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t value = random();
    std::ranges::copy(std::as_bytes(std::span{&value, 1}).first(std::min<std::size_t>(8, size - i)),
                      bytes.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return bytes;
}

// Salted 4 KiB leaves from the second-level cache: what each back-end can do.
void bench_leaves(const Options& options) {
  constexpr std::size_t kPasses = 100;
  const Bytes data = random_bytes(2 * kRun);
  const sphere::crypto::LeafSalt salt = {std::byte{1}};
  std::vector<Sha256Digest> expected(data.size() / kMerkleBlockSize);
  must(HashEngine::create("evp")).hash_leaves(salt, data, expected);
  std::vector<Row> rows = {
      {.name = "OpenSSL EVP, one flat stream", .bytes = kPasses * data.size(), .work = [&] {
         sphere::crypto::Sha256 hash;
         for (std::size_t i = 0; i < kPasses; ++i) {
           hash.update(data);
         }
         static_cast<void>(hash.finish());
       }}};
  for (const auto& backend : sphere::crypto::hash_backends()) {
    if (!backend.is_supported()) {
      fmt::print("skipped: this processor has no {}\n", backend.name);
      continue;
    }
    const auto engine = std::make_shared<HashEngine>(must(HashEngine::create(backend.name)));
    std::vector<Sha256Digest> digests(expected.size());
    engine->hash_leaves(salt, data, digests);
    must_equal(digests, expected, backend.name);
    rows.push_back({.name = fmt::format("leaves, `{}`", backend.name),
                    .bytes = kPasses * data.size(),
                    .work = [&data, &salt, engine, digests]() mutable {
                      for (std::size_t i = 0; i < kPasses; ++i) {
                        engine->hash_leaves(salt, data, digests);
                      }
                    }});
  }
  compare("Salted 4 KiB leaves, in cache, one thread", rows, options.rounds);
}

// Whole messages of unlike lengths, as a batch of small v1 images has them.
void bench_messages(const Options& options) {
  constexpr std::size_t kCount = 1000;
  const Bytes data = random_bytes(64 * kMebibyte);
  std::mt19937 random{2};
  std::vector<std::span<const std::byte>> messages;
  std::size_t total = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::size_t size = 4096 * (1 + random() % 12) + 148;
    messages.push_back(std::span{data}.subspan(i * 60000, size));
    total += size;
  }
  std::ranges::sort(messages, {}, &std::span<const std::byte>::size);
  std::vector<Sha256Digest> expected(kCount);
  std::ranges::transform(messages, expected.begin(), sphere::crypto::sha256);
  const HashEngine engine = must(HashEngine::create());
  std::vector<Sha256Digest> digests(kCount);
  engine.hash_messages(messages, digests);
  must_equal(digests, expected, "messages");
  compare(
      "1,000 messages of 4 to 48 KiB and 148 bytes, one thread",
      {{.name = "OpenSSL EVP, one after the other",
        .bytes = total,
        .work = [&] { std::ranges::transform(messages, digests.begin(), sphere::crypto::sha256); }},
       {.name = fmt::format("side by side, `{}`", engine.name()),
        .bytes = total,
        .work = [&] { engine.hash_messages(messages, digests); }}},
      options.rounds);
}

std::filesystem::path make_file(const std::filesystem::path& directory, std::size_t mebibytes) {
  const auto path = directory / "body";
  const Bytes piece = random_bytes(kMebibyte + 8);
  auto file = must(sphere::AtomicFile::create(path, {.sync = false}));
  for (std::size_t i = 0; i < mebibytes; ++i) {
    if (!file.write(std::span{piece}.subspan(i % 8, kMebibyte))) {
      stop("cannot write " + path.string());
    }
  }
  if (!file.commit()) {
    stop("cannot write " + path.string());
  }
  return path;
}

Sha256Digest flat_hash(const sphere::image::FileBlocks& file) {
  Bytes buffer(kRun);
  sphere::crypto::Sha256 hash;
  for (std::uint64_t offset = 0; offset < file.size(); offset += buffer.size()) {
    hash.update(must(file.read(offset, buffer)));
  }
  return hash.finish();
}

Sha256Digest tree_root(const HashEngine& engine, sphere::ThreadPool& pool,
                       const sphere::image::FileBlocks& file) {
  const auto shape = must(sphere::image::MerkleShape::of(file.size() / kMerkleBlockSize));
  return must(
      sphere::image::build_merkle_tree({.engine = engine, .pool = pool, .shape = shape}, file));
}

// A file in the page cache, read by pread() in runs of 256 KiB.
void bench_tree(const Options& options, std::size_t mebibytes) {
  const auto directory = must(sphere::TemporaryDirectory::create("sphere-bench"));
  const auto file = must(sphere::image::FileBlocks::open(make_file(directory.path(), mebibytes)));
  const HashEngine engine = must(HashEngine::create());
  const HashEngine evp = must(HashEngine::create("evp"));
  sphere::ThreadPool one{1};
  sphere::ThreadPool two{2};
  const auto expected = tree_root(evp, one, file);
  must_equal(tree_root(engine, one, file), expected, "tree, one thread");
  must_equal(tree_root(engine, two, file), expected, "tree, two threads");
  const auto size = static_cast<std::size_t>(file.size());
  compare(fmt::format("File of {} MiB to its hash, warm page cache", mebibytes),
          {{.name = "OpenSSL EVP, one flat stream",
            .bytes = size,
            .work = [&] { static_cast<void>(flat_hash(file)); }},
           {.name = "tree by `evp`, 1 thread",
            .bytes = size,
            .work = [&] { static_cast<void>(tree_root(evp, one, file)); }},
           {.name = fmt::format("tree by `{}`, 1 thread", engine.name()),
            .bytes = size,
            .work = [&] { static_cast<void>(tree_root(engine, one, file)); }},
           {.name = fmt::format("tree by `{}`, 2 threads", engine.name()),
            .bytes = size,
            .work = [&] { static_cast<void>(tree_root(engine, two, file)); },
            .uses_two_threads = true}},
          options.rounds);
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > 65536) {
    stop(fmt::format("not a number from 1 to 65536: {}", text));
  }
  return value;
}

Options parse(std::span<char* const> arguments) {
  Options options;
  bool own_sizes = false;
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    const std::string_view name = arguments[i];
    const std::string_view value = arguments[i + 1];
    if (name == "--rounds") {
      options.rounds = static_cast<int>(number(value));
    } else if (name == "--mebibytes") {
      if (!std::exchange(own_sizes, true)) {
        options.mebibytes.clear();
      }
      options.mebibytes.push_back(number(value));
    } else {
      stop("usage: hash_bench [--rounds N] [--mebibytes N]...");
    }
  }
  return options;
}

}  // namespace

int main(int argc, char* argv[]) {
  const Options options = parse({argv, static_cast<std::size_t>(argc)});
  sphere::bench::print_machine();
  bench_leaves(options);
  bench_messages(options);
  for (const std::size_t mebibytes : options.mebibytes) {
    bench_tree(options, mebibytes);
  }
  return EXIT_SUCCESS;
}
