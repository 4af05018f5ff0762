#include "affectrt/pack/onnx_scan.h"

#include <algorithm>
#include <vector>

#include "affectrt/core/error.h"

namespace affectrt {
namespace {

// Graphs nest inside attributes of If, Loop and Scan. protobuf itself stops at 100 levels of messages.
constexpr int kMaxDepth = 100;

enum class Message { kModel, kGraph, kNode, kAttribute, kTensor, kSparseTensor, kEntry, kFunction, kTraining, kOpset };

// What is looked for.
enum class Wanted { kLocations, kDomains };

class Scanner {
 public:
  Scanner(const File& file, Wanted wanted)
      : file_(file), wanted_(wanted), buffer_(std::size_t{1} << (wanted == Wanted::kDomains ? 12 : 16)) {}

  std::set<std::string> run() {
    message(Message::kModel, 0, file_.size(), 0);
    if (!saw_graph_) fail("it has no graph");
    return std::move(found_);
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw PackError(file_.shown() + ": expected an ONNX model, got something else: " + why);
  }

  std::uint8_t byte(std::uint64_t at) {
    if (at < start_ || at >= start_ + filled_) {
      start_ = at;
      filled_ = file_.read(at, buffer_.data(), buffer_.size());
      if (filled_ == 0) fail("it ends in the middle of a field");
    }
    return static_cast<std::uint8_t>(buffer_[at - start_]);
  }

  std::uint64_t varint(std::uint64_t& at, std::uint64_t end) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at >= end) fail("it ends in the middle of a field");
      const std::uint8_t b = byte(at++);
      value |= std::uint64_t{b & 0x7fu} << shift;
      if ((b & 0x80) == 0) return value;
    }
    fail("it holds a number of more than 64 bits");
  }

  std::string text(std::uint64_t at, std::uint64_t end) {
    if (end - at > 4096)
      fail(std::string(wanted_ == Wanted::kDomains ? "a domain" : "an external location") + " is longer than 4096 bytes");
    std::string value(static_cast<std::size_t>(end - at), '\0');
    if (file_.read(at, value.data(), value.size()) != value.size()) fail("it ends in the middle of a field");
    return value;
  }

  // The message that a field of a message holds, if it is one on the way to what is wanted (field numbers of onnx.proto).
  bool inside(Message parent, std::uint64_t field, Message* child) const {
    const auto is = [&](std::uint64_t number, Message what) { return field == number && (*child = what, true); };
    if (wanted_ == Wanted::kDomains)
      return parent == Message::kModel ? is(8, Message::kOpset) || is(25, Message::kFunction)
                                       : parent == Message::kFunction && is(9, Message::kOpset);
    switch (parent) {
      case Message::kModel:
        return is(7, Message::kGraph) || is(20, Message::kTraining) || is(25, Message::kFunction);
      case Message::kTraining:
        return is(1, Message::kGraph) || is(2, Message::kGraph);
      case Message::kFunction:
        return is(7, Message::kNode) || is(11, Message::kAttribute);
      case Message::kGraph:
        return is(1, Message::kNode) || is(5, Message::kTensor) || is(15, Message::kSparseTensor);
      case Message::kNode:
        return is(5, Message::kAttribute);
      case Message::kAttribute:
        return is(5, Message::kTensor) || is(6, Message::kGraph) || is(10, Message::kTensor) || is(11, Message::kGraph) ||
               is(22, Message::kSparseTensor) || is(23, Message::kSparseTensor);
      case Message::kSparseTensor:
        return is(1, Message::kTensor) || is(2, Message::kTensor);
      case Message::kTensor:
        return is(13, Message::kEntry);
      case Message::kEntry:
      case Message::kOpset:
        return false;
    }
    return false;
  }

  void message(Message kind, std::uint64_t at, std::uint64_t end, int depth) {
    if (depth > kMaxDepth) fail("its messages nest deeper than " + std::to_string(kMaxDepth));
    std::string key, value;
    while (at < end) {
      const std::uint64_t tag = varint(at, end);
      // protobuf keeps 32 bits of a tag and so would see another field than we do.
      if (tag > 0xFFFFFFFFu) fail("a field has a number of more than 29 bits");
      std::uint64_t size = 0;
      switch (tag & 7) {
        case 0:
          varint(at, end);
          continue;
        case 1:
          size = 8;
          break;
        case 2:
          size = varint(at, end);
          break;
        case 5:
          size = 4;
          break;
        default:
          fail("a field has the unknown wire type " + std::to_string(tag & 7));
      }
      if (size > 0x7FFFFFFFu) fail("a field is longer than 2 GiB");
      if (size > end - at) fail("a field is longer than what holds it");
      saw_graph_ = saw_graph_ || (kind == Message::kModel && tag == (7 << 3 | 2));
      Message child{};
      if ((tag & 7) == 2 && inside(kind, tag >> 3, &child)) {
        message(child, at, at + size, depth + 1);
      } else if (kind == Message::kOpset && tag == (1 << 3 | 2)) {
        found_.insert(text(at, at + size));
      } else if (kind == Message::kEntry && (tag & 7) == 2 && (tag >> 3 == 1 || tag >> 3 == 2)) {
        (tag >> 3 == 1 ? key : value) = text(at, at + size);
      }
      at += size;
    }
    if (kind == Message::kEntry && key == "location") found_.insert(value);
  }

  const File& file_;
  Wanted wanted_;
  std::vector<char> buffer_;
  std::uint64_t start_ = 0;
  std::size_t filled_ = 0;
  bool saw_graph_ = false;
  std::set<std::string> found_;
};

}  // namespace

std::set<std::string> external_data_of(const File& file) { return Scanner(file, Wanted::kLocations).run(); }
std::set<std::string> operator_domains_of(const File& file) { return Scanner(file, Wanted::kDomains).run(); }

}  // namespace affectrt
