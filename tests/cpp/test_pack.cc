// What Python cannot reach: both ways of computing SHA-256, the rules for paths, text made safe to show, and manifests as C++ sees them.
// Its argument is the folder of the fuzzers' seeds.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "affectrt/core/sha256.h"
#include "affectrt/pack/pack.h"
#include "affectrt/pack/text.h"

namespace {

int failures = 0;

void check(bool holds, const std::string& what) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "failed: %s\n", what.c_str());
}

std::string sha256(const std::string& text, bool portable) {
  affectrt::Sha256 hash = portable ? affectrt::Sha256(affectrt::Sha256::portable()) : affectrt::Sha256();
  hash.update(text.data(), text.size());
  return hash.hex_digest();
}

void test_sha256() {
  const std::vector<std::pair<std::string, std::string>> known = {
      // FIPS 180-4 examples
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const auto& [text, hex] : known) {
    check(sha256(text, true) == hex, "portable SHA-256 of " + std::to_string(text.size()) + " bytes");
    check(sha256(text, false) == hex, "SHA-256 of " + std::to_string(text.size()) + " bytes");
  }
  std::mt19937 random(7);
  for (std::size_t size = 0; size < 400; ++size) {  // every place of the padding, several blocks
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random());
    const std::string whole = sha256(text, true);
    affectrt::Sha256 pieces;
    for (std::size_t at = 0; at < size;) {
      const std::size_t count = std::min<std::size_t>(size - at, random() % 100);
      pieces.update(text.data() + at, count);
      at += count;
    }
    check(pieces.hex_digest() == whole && sha256(text, false) == whole, "SHA-256 of " + std::to_string(size) + " bytes in pieces");
  }
}

void test_paths() {
  using affectrt::is_pack_path;
  for (const char* good : {"a", "a/b.onnx", "golden/x.npy", "..a/b..", "\xc3\xa9.txt", ".hidden", "a b"}) {
    check(is_pack_path(good), std::string("good path ") + good);
  }
  for (const std::string& bad :
       std::vector<std::string>{"", "/a", "a//b", "a/", ".", "..", "a/../b", "./a", "a\\b", "C:a", "c:/a", "a\nb", "a\x7f", "\xff",
                                "\xc0\xaf", "\xed\xa0\x80", std::string("a\0b", 3), std::string(256, 'a'), std::string(1025, 'a')}) {
    check(!is_pack_path(bad), "bad path " + affectrt::in_quotes(bad));
  }
}

void test_printable() {
  using affectrt::printable;
  check(printable("a\nb") == "a\\x0ab", "line breaks are written out");
  check(printable("\xc3\xa9") == "\xc3\xa9", "UTF-8 stays");
  check(printable("\xff\xc3") == "\\xff\\xc3", "other bytes are written out");
  check(printable(std::string(500, 'x')).size() < 210, "long texts are cut");
  for (std::size_t cut = 190; cut < 210; ++cut) {
    check(affectrt::is_utf8(printable(std::string(cut, 'x') + "\xf0\x9f\x98\x80\xf0\x9f\x98\x80")), "a cut never splits a character");
  }
}

affectrt::Manifest manifest(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return affectrt::parse_manifest(std::string(std::istreambuf_iterator<char>(in), {}));
}

void test_manifests(const std::string& seeds) {
  const auto faces = manifest(seeds + "/faces.json");
  check(faces.task == affectrt::Task::kFaceExpression && faces.labels.size() == 7, "seven faces");
  check(!faces.labels[0].dominance, "a label without dominance");
  check(faces.labels[1].dominance == 0.25f, "a label with dominance");
  const auto pooled = manifest(seeds + "/pooled.json");
  check(pooled.task == affectrt::Task::kTextEmbedding && pooled.labels.empty(), "text embedding");
  const auto& decode = std::get<affectrt::EmbeddingDecode>(pooled.decode);
  check(decode.pooling == affectrt::Pooling::kNone && decode.normalize, "a network that pools itself");
  const auto span = manifest(seeds + "/span.json");
  const auto& part = std::get<affectrt::SpanDecode>(span.decode);
  check(span.task == affectrt::Task::kTextSpan && part.max_answer_tokens == 4 && part.null_threshold == -0.5f, "text span");
  const auto pair = manifest(seeds + "/pair.json");
  const auto& judged = std::get<affectrt::PairDecode>(pair.decode);
  check(pair.task == affectrt::Task::kTextPair && judged.yes == "cause" && judged.separator == "<SEP>", "text pair");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s SEEDS_FOLDER\n", argv[0]);
    return 2;
  }
  test_sha256();
  test_paths();
  test_printable();
  test_manifests(argv[1]);
  std::printf("SHA-256 %s; %d failures\n", affectrt::Sha256::accelerated() ? "accelerated" : "portable only", failures);
  return failures == 0 ? 0 : 1;
}
