// Runs a fuzz target on seeded mutations of real files, where there is no libFuzzer: MUTATE ITERATIONS SEED FILE...
// Exit code 1 on a finding; the input that caused it is left in finding.bin.
#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.h"

namespace {

std::string current;

void save() { std::ofstream("finding.bin", std::ios::binary) << current; }

// Pieces on which parsers stumble: of JSON, of the format, of protobuf.
const std::vector<std::string> kPieces = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          ",",
                                          ":",
                                          "\"",
                                          "null",
                                          "true",
                                          "NaN",
                                          "-1",
                                          "0",
                                          "1e999",
                                          "-0.0",
                                          "18446744073709551616",
                                          "9223372036854775808",
                                          "0.1",
                                          "1e-50",
                                          "\"\"",
                                          "\"..\"",
                                          "\"/etc/passwd\"",
                                          "\"a/../b\"",
                                          "\"C:x\"",
                                          "\"\\u0000\"",
                                          "\"\\ud800\"",
                                          "\\",
                                          "\xff",
                                          "\xef\xbb\xbf",
                                          "\"path\"",
                                          "\"files\"",
                                          "\"labels\"",
                                          "\"remote\"",
                                          "\"shape\"",
                                          "\"thresholds\"",
                                          "\"dominance\"",
                                          "\"pooling\"",
                                          "[[[[[[[[[[[[[[[[[[",
                                          "{\"a\":{\"a\":{\"a\":",
                                          std::string("\0", 1),
                                          "\x0a\x7f",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                          "\x6a\x08",
                                          "\x72\x02",
                                          "location",
                                          "\x2a\x05",
                                          "\x3a\xff\x01"};

std::string mutate(const std::vector<std::string>& seeds, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? std::size_t{0} : static_cast<std::size_t>(random() % n); };
  std::string text = seeds[below(seeds.size())];
  for (std::size_t step = 0, steps = 1 + below(6); step < steps; ++step) {
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = std::min(text.size() - at, below(below(2) == 0 ? 8 : 400));
    switch (below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      case 3:
        text.insert(at, kPieces[below(kPieces.size())]);
        break;
      case 4:
        text.replace(at, std::min(length, std::size_t{6}), kPieces[below(kPieces.size())]);
        break;
      case 5: {
        const std::string& other = seeds[below(seeds.size())];
        text.replace(at, length, other.substr(below(other.size()), below(400)));
        break;
      }
      default:
        if (below(8) == 0) text.resize(at);
    }
  }
  return text;
}

// A number of a manifest in the place of another, and keys left out: mutations that stay JSON and reach the checks behind the syntax.
std::string mutate_value(const std::vector<std::string>& seeds, std::mt19937_64& random) {
  std::string text = seeds[random() % seeds.size()];
  const std::size_t colon = text.find(": ", random() % (text.size() + 1));
  if (colon == std::string::npos) return text;
  const std::size_t end = text.find_first_of(",}]\n", colon + 2);
  if (end == std::string::npos) return text;
  return text.replace(colon + 2, end - colon - 2, kPieces[random() % kPieces.size()]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s ITERATIONS SEED FILE...\n", argv[0]);
    return 2;
  }
  __sanitizer_set_death_callback(save);
  std::mt19937_64 random(std::strtoull(argv[2], nullptr, 10));
  std::vector<std::string> seeds;
  for (int i = 3; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    current.assign(std::istreambuf_iterator<char>(in), {});
    seeds.push_back(current);
  }
  const long iterations = std::strtol(argv[1], nullptr, 10);
  long accepted = 0, done = 0;
  try {
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      current = seeds[i];
      require(run_target(reinterpret_cast<const std::uint8_t*>(current.data()), current.size()), std::string("accepts ") + argv[3 + i]);
    }
    for (; done < iterations; ++done) {
      current = random() % 3 == 0 ? mutate_value(seeds, random) : mutate(seeds, random);
      accepted += run_target(reinterpret_cast<const std::uint8_t*>(current.data()), current.size()) ? 1 : 0;
    }
    // A target that takes or refuses everything is not being tested.
    require(accepted > 0 && accepted < iterations, "some mutations are accepted and some refused");
  } catch (const std::exception& error) {
    save();
    std::fprintf(stderr, "finding after %ld mutations, saved in finding.bin: %s\n", done, error.what());
    return 1;
  }
  std::printf("%ld mutations of %zu files: %ld accepted, %ld refused\n", iterations, seeds.size(), accepted, iterations - accepted);
  return 0;
}
