#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "affectrt/ops/memory_top_k_cpu.h"
#include "affectrt/ops/ops.h"

namespace affectrt {
namespace {

constexpr int kMaxWidth = 65536;  // of a vector: with more, 16 bits of query times 8 bits of row would hardly leave a bit for the query
constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool asks_semantic(Combination c) { return c != Combination::kEmotional; }
bool asks_emotional(Combination c) { return c != Combination::kSemantic; }

bool nearer(const Recalled& a, const Recalled& b) { return a.distance < b.distance || (a.distance == b.distance && a.index < b.index); }

// The k nearest of what has been offered, in whatever order.
class Nearest {
 public:
  explicit Nearest(std::int64_t k) : k_(static_cast<std::size_t>(k)) { heap_.reserve(k_); }

  // A greater distance will not be taken.
  float limit() const { return heap_.size() < k_ ? kInfinity : heap_.front().distance; }

  void offer(std::int64_t index, float distance) {
    const Recalled one{index, distance};
    if (heap_.size() == k_) {
      if (!nearer(one, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), nearer);
      heap_.pop_back();
    }
    heap_.push_back(one);
    std::push_heap(heap_.begin(), heap_.end(), nearer);
  }

  std::vector<Recalled> in_order() {
    std::sort_heap(heap_.begin(), heap_.end(), nearer);
    return std::move(heap_);
  }

 private:
  std::size_t k_;
  std::vector<Recalled> heap_;
};

// A query for rows of 8-bit codes: as fine as 32 bits of sum allow.
class CodedQuery {
 public:
  explicit CodedQuery(std::span<const float> query) {
    const std::size_t padded = (query.size() + kernels::kCodePadding - 1) / kernels::kCodePadding * kernels::kCodePadding;
    values_.resize(padded);
    halves_.resize(2 * padded);
    float greatest = 0;
    for (const float q : query) greatest = std::max(greatest, std::fabs(q));
    // 32639: the greatest whose halves both fit into 8 bits.
    const auto most = std::min<std::int64_t>(32639, 0x7fffffff / (128 * static_cast<std::int64_t>(query.size())));
    const double scale = static_cast<double>(greatest) / static_cast<double>(most);
    double square = 0, lost = 0;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < query.size(); ++i) {
      const auto value = static_cast<std::int16_t>(scale > 0 ? std::lround(query[i] / scale) : 0);
      const auto low = static_cast<std::int8_t>(value & 0xff);
      const double coded = scale * value, off = query[i] - coded;
      values_[i] = value;
      halves_[i] = static_cast<std::int8_t>((value - low) / 256);
      halves_[padded + i] = low;
      sum += value;
      square += coded * coded;
      lost += off * off;
    }
    view = {values_.data(), {halves_.data(), halves_.data() + padded}, sum, scale, square, std::sqrt(lost) * (1 + 1e-9)};
  }

  kernels::CodeQuery view{};

 private:
  std::vector<std::int16_t> values_;
  std::vector<std::int8_t> halves_;
};

class Search {
 public:
  Search(const MemoryQuery& query, const Memories& memories)
      : query_(query),
        memories_(memories),
        count_(asks_semantic(query.combination) ? memories.semantics.count : memories.emotions.count),
        kernels_(kernels::memory_kernels()[static_cast<std::size_t>(query.kernels)]),
        emotion_square_(kernels::square_sum(query.emotion.data(), static_cast<int>(query.emotion.size()))) {}

  std::vector<Recalled> run() const {
    switch (query_.combination) {
      case Combination::kSemanticFirst:
        return among(nearest(Combination::kSemantic, query_.candidates), Combination::kEmotional);
      case Combination::kEmotionalFirst:
        return among(nearest(Combination::kEmotional, query_.candidates), Combination::kSemantic);
      default:
        return nearest(query_.combination, query_.k);
    }
  }

 private:
  using Block = std::array<float, kernels::kMaxRowsAtOnce>;

  // Of rows: those to look at, and after them some of those that will come next.
  struct Numbers {
    const std::int64_t* which;
    int count, known;
  };

  struct Survivor {
    std::int64_t index;
    float lower;
  };

  // The k nearest of all rows that are allowed.
  std::vector<Recalled> nearest(Combination combination, std::int64_t k) const {
    k = std::min(k, count_);
    Nearest best(k);
    if (k == 0) return {};
    if (memories_.codes.codes.data != nullptr && combination != Combination::kEmotional) {
      // A row whose lower bound is above the k-th lowest upper bound has k rows before it. What is left is computed in full.
      std::vector<Survivor> survivors;
      const float limit = bound_all(combination, k, survivors);
      std::array<std::int64_t, kernels::kMaxRowsAtOnce> which;
      int filled = 0;
      const auto compute = [&] {
        offer(combination, {which.data(), filled, filled}, best);
        filled = 0;
      };
      for (const auto& one : survivors) {
        if (one.lower > std::min(limit, best.limit())) continue;
        which[static_cast<std::size_t>(filled++)] = one.index;
        if (filled == kernels::kMaxRowsAtOnce) compute();
      }
      if (filled > 0) compute();
    } else {
      for_blocks([&](const Numbers& of) { offer(combination, of, best); });
    }
    return best.in_order();
  }

  std::vector<Recalled> among(const std::vector<Recalled>& candidates, Combination combination) const {
    Nearest best(std::min(query_.k, static_cast<std::int64_t>(candidates.size())));
    std::array<std::int64_t, kernels::kMaxRowsAtOnce> which;
    for (std::size_t first = 0; first < candidates.size(); first += which.size()) {
      const std::size_t count = std::min(candidates.size() - first, which.size());
      for (std::size_t i = 0; i < count; ++i) which[i] = candidates[first + i].index;
      offer(combination, {which.data(), static_cast<int>(count), static_cast<int>(count)}, best);
    }
    return best.in_order();
  }

  // The numbers of all allowed rows, some at a time.
  template <class Visit>
  void for_blocks(Visit&& visit) const {
    constexpr int kBlock = kernels::kMaxRowsAtOnce;
    std::array<std::int64_t, kBlock + kernels::kMaxRowsAhead> which;
    int filled = 0;
    for (std::int64_t row = 0; row < count_; ++row) {
      if (memories_.allowed != nullptr && memories_.allowed[row] == 0) continue;
      which[static_cast<std::size_t>(filled++)] = row;
      if (filled < static_cast<int>(which.size())) continue;
      visit(Numbers{which.data(), kBlock, filled});
      std::copy(which.begin() + kBlock, which.end(), which.begin());
      filled -= kBlock;
    }
    for (int done = 0; done < filled; done += kBlock) visit(Numbers{which.data() + done, std::min(kBlock, filled - done), filled - done});
  }

  void offer(Combination combination, const Numbers& of, Nearest& best) const {
    Block semantic, emotional;
    if (combination != Combination::kEmotional) kernels_.euclidean(query_.semantic.data(), rows(memories_.semantics, of), semantic.data());
    if (combination != Combination::kSemantic) mood_distances(of, emotional);
    combine(combination, of.count, semantic, emotional);
    float limit = best.limit();
    for (int i = 0; i < of.count; ++i)
      if (const float d = semantic[static_cast<std::size_t>(i)]; d <= limit) {
        best.offer(of.which[i], d);
        limit = best.limit();
      }
  }

  // Returns the k-th lowest upper bound, and what may be below it.
  float bound_all(Combination combination, std::int64_t k, std::vector<Survivor>& survivors) const {
    const CodedQuery query(query_.semantic);
    Nearest best(k);  // by upper bound
    for_blocks([&](const Numbers& of) {
      Block lower, upper, emotional;
      kernels_.codes(query.view, rows(memories_.codes.codes, of), &memories_.codes.bounds->scale, lower.data(), upper.data());
      if (combination != Combination::kSemantic) mood_distances(of, emotional);
      combine(combination, of.count, lower, emotional);
      float limit = best.limit();
      for (int i = 0; i < of.count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (lower[at] > limit) continue;
        survivors.push_back({of.which[i], lower[at]});
        best.offer(of.which[i], combined(combination, upper[at], emotional[at]));
        limit = best.limit();
      }
    });
    return best.limit();
  }

  void mood_distances(const Numbers& of, Block& out) const {
    kernels_.cosine(query_.emotion.data(), emotion_square_, rows(memories_.emotions, of), out.data());
  }

  // Both parts are at least 0, and rounding keeps order: a bound of d_sem makes one of the whole. What is NaN lies at infinity.
  static float combined(Combination combination, float semantic, float emotional) {
    const float d = combination == Combination::kEmotional ? emotional
                    : combination == Combination::kSum     ? semantic + emotional
                    : combination == Combination::kProduct ? semantic * emotional
                                                           : semantic;
    return d == d ? d : kInfinity;
  }

  static void combine(Combination combination, int count, Block& semantic, const Block& emotional) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) semantic[i] = combined(combination, semantic[i], emotional[i]);
  }

  template <class T>
  static kernels::SomeRows<T> rows(const Rows<T>& all, const Numbers& of) {
    return {all.data, all.step, all.width, of.which, of.count, of.known};
  }

  const MemoryQuery& query_;
  const Memories& memories_;
  const std::int64_t count_;
  const kernels::MemoryKernels& kernels_;
  const double emotion_square_;
};

void check_part(std::span<const float> query, const Rows<float>& rows, bool asked, const std::string& one, const std::string& many) {
  for (const float value : query)
    if (!std::isfinite(value)) throw std::invalid_argument(one + ": expected finite numbers, got " + std::to_string(value));
  if (!asked) return;
  if (query.empty() || query.size() > kMaxWidth)
    throw std::invalid_argument(one + ": expected 1 to " + std::to_string(kMaxWidth) + " numbers, got " + std::to_string(query.size()));
  if (rows.width != static_cast<int>(query.size()))
    throw std::invalid_argument(many + ": expected rows of " + std::to_string(query.size()) + " numbers, as " + one + " has, got " +
                                std::to_string(rows.width));
}

void check_count(std::int64_t expected, std::int64_t got, const char* name) {
  if (got != expected)
    throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(expected) + " rows, got " + std::to_string(got));
}

void check(const MemoryQuery& query, const Memories& memories) {
  const bool semantic = asks_semantic(query.combination), emotional = asks_emotional(query.combination);
  check_part(query.semantic, memories.semantics, semantic, "semantic", "semantics");
  check_part(query.emotion, memories.emotions, emotional, "emotion", "emotions");
  if (semantic && emotional) check_count(memories.semantics.count, memories.emotions.count, "emotions");
  if (emotional && std::all_of(query.emotion.begin(), query.emotion.end(), [](float v) { return v == 0; }))
    throw std::invalid_argument("emotion: expected a vector that is not all zeros, since it has no direction to compare");
  if (memories.codes.codes.data != nullptr) {
    check_count(memories.semantics.count, memories.codes.codes.count, "codes");
    if (memories.codes.codes.width != memories.semantics.width)
      throw std::invalid_argument("codes: expected rows of " + std::to_string(memories.semantics.width) +
                                  " numbers, as semantics has, got " + std::to_string(memories.codes.codes.width));
  }
  if (query.k < 1) throw std::invalid_argument("k: expected at least 1, got " + std::to_string(query.k));
  const auto kernels = static_cast<int>(kernels::memory_kernels().size());
  if (query.kernels < 0 || query.kernels >= kernels)
    throw std::invalid_argument("kernels: expected 0 to " + std::to_string(kernels - 1) + ", got " + std::to_string(query.kernels));
  if (query.candidates < 1) throw std::invalid_argument("candidates: expected at least 1, got " + std::to_string(query.candidates));
}

}  // namespace

std::vector<Recalled> memory_top_k(const MemoryQuery& query, const Memories& memories) {
  check(query, memories);
  return Search(query, memories).run();
}

void memory_codes(const Rows<float>& rows, std::int8_t* codes, CodeBound* bounds) {
  constexpr float kMost = 127;
  constexpr double kLargest = 3e38;  // of what becomes a float32
  for (std::int64_t r = 0; r < rows.count; ++r, codes += rows.width) {
    const float* row = rows.data + r * rows.step;
    float greatest = 0;
    bool finite = true;
    for (int i = 0; i < rows.width; ++i) {
      finite = finite && std::isfinite(row[i]);
      greatest = std::max(greatest, std::fabs(row[i]));
    }
    std::fill_n(codes, rows.width, std::int8_t{0});
    bounds[r] = {0, 0, kInfinity};  // nothing is known
    if (!finite) continue;
    // So small a scale would itself be rounded coarsely, or to zero: then all codes are 0, and the residual is the row.
    const float scale = greatest / kMost < std::numeric_limits<float>::min() ? 0.0f : greatest / kMost;
    double square = 0, lost = 0;
    for (int i = 0; i < rows.width; ++i) {
      const float code = scale > 0 ? std::nearbyint(row[i] / scale) : 0.0f;
      codes[i] = static_cast<std::int8_t>(std::clamp(code, -kMost, kMost));
      const double coded = static_cast<double>(scale) * codes[i], off = row[i] - coded;
      square += coded * coded;
      lost += off * off;
    }
    const double norm = std::sqrt(square), residual = std::sqrt(lost) * (1 + 1e-9);
    if (norm > kLargest || residual > kLargest) continue;
    // Never less than the residual, whichever way the conversion rounds.
    bounds[r] = {scale, static_cast<float>(norm), std::nextafter(static_cast<float>(residual), kInfinity)};
  }
}

}  // namespace affectrt
