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
  CodedQuery(std::span<const float> query, const Rows<std::int8_t>& codes) {
    // Where rows keep their distance from a line of the cache, the query keeps it too, so that no load crosses two.
    constexpr int kLine = kernels::kCodePadding;
    const int shift = codes.step % kLine == 0 ? static_cast<int>(reinterpret_cast<std::uintptr_t>(codes.data) % kLine) : 0;
    const std::size_t first = static_cast<std::size_t>(shift), padded = (first + query.size() + kLine - 1) / kLine * kLine;
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
      halves_[first + i] = static_cast<std::int8_t>((value - low) / 256);
      halves_[padded + first + i] = low;
      sum += value;
      square += coded * coded;
      lost += off * off;
    }
    view = {values_.data(), {halves_.data(), halves_.data() + padded}, shift, sum, scale, square, std::sqrt(lost) * (1 + 1e-9)};
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
  static constexpr int kBlock = kernels::kMaxRowsAtOnce;
  using Block = std::array<float, kBlock>;

  // Rows to look at, with their d_emo where the combination has one, and after them some of those that will come next.
  struct Some {
    const std::int64_t* which;
    const float* moods;
    int count, known;
  };

  // Some rows that are gathered until there is a block of them.
  struct Gathered {
    std::array<std::int64_t, kBlock> which;
    Block moods{};
    int count = 0;

    void add(std::int64_t row, float mood) {
      which[static_cast<std::size_t>(count)] = row;
      moods[static_cast<std::size_t>(count++)] = mood;
    }
    bool full() const { return count == kBlock; }
    Some some() const { return {which.data(), moods.data(), count, count}; }
  };

  struct Survivor {
    std::int64_t row;
    float lower, mood;
  };

  // The k nearest of all rows that are allowed.
  std::vector<Recalled> nearest(Combination combination, std::int64_t k) const {
    k = std::min(k, count_);
    Nearest best(k);
    if (k == 0) return {};
    if (memories_.codes.codes.data == nullptr || combination == Combination::kEmotional) {
      for_blocks(combination, best, [&](const Some& rows) { offer(combination, rows, best); });
      return best.in_order();
    }
    // A row whose lower bound is above the k-th lowest upper bound has k rows before it. What is left is computed in full.
    std::vector<Survivor> survivors;
    const float limit = bound_all(combination, k, survivors);
    Gathered gathered;
    for (const auto& one : survivors) {
      if (one.lower > std::min(limit, best.limit())) continue;
      gathered.add(one.row, one.mood);
      if (!gathered.full()) continue;
      offer(combination, gathered.some(), best);
      gathered.count = 0;
    }
    offer(combination, gathered.some(), best);
    return best.in_order();
  }

  std::vector<Recalled> among(const std::vector<Recalled>& candidates, Combination combination) const {
    Nearest best(std::min(query_.k, static_cast<std::int64_t>(candidates.size())));
    Gathered gathered;
    const auto compute = [&] {
      if (asks_emotional(combination)) find_moods(gathered.some(), gathered.moods.data());
      offer(combination, gathered.some(), best);
      gathered.count = 0;
    };
    for (const auto& one : candidates) {
      gathered.add(one.index, 0);
      if (gathered.full()) compute();
    }
    compute();
    return best.in_order();
  }

  // All allowed rows, some at a time. In a sum a mood alone may lie beyond the limit of `best`: such rows are left out, and of their
  // semantic vectors nothing is read.
  template <class Visit>
  void for_blocks(Combination combination, const Nearest& best, Visit&& visit) const {
    constexpr int kWaiting = kBlock + kernels::kMaxRowsAhead;
    std::array<std::int64_t, kWaiting + kBlock> which;
    std::array<float, kWaiting + kBlock> moods{};
    int waiting = 0, fresh = 0;  // those that will be visited; behind them, those whose moods are not known yet
    const auto pass_on = [&] {
      if (asks_emotional(combination)) find_moods({which.data() + waiting, nullptr, fresh, fresh}, moods.data() + waiting);
      if (combination == Combination::kSum) {
        const float limit = best.limit();
        const int end = waiting + std::exchange(fresh, 0);
        for (int i = waiting; i < end; ++i) {
          which[static_cast<std::size_t>(waiting)] = which[static_cast<std::size_t>(i)];
          moods[static_cast<std::size_t>(waiting)] = moods[static_cast<std::size_t>(i)];
          waiting += moods[static_cast<std::size_t>(i)] > limit ? 0 : 1;  // no branch, which nobody could predict
        }
      }
      waiting += std::exchange(fresh, 0);
      if (waiting < kWaiting) return;
      visit(Some{which.data(), moods.data(), kBlock, waiting});
      std::copy(which.begin() + kBlock, which.begin() + waiting, which.begin());
      std::copy(moods.begin() + kBlock, moods.begin() + waiting, moods.begin());
      waiting -= kBlock;
    };
    for (std::int64_t row = 0; row < count_; ++row) {
      which[static_cast<std::size_t>(waiting + fresh)] = row;
      fresh += memories_.allowed == nullptr || memories_.allowed[row] != 0 ? 1 : 0;
      if (fresh == kBlock) pass_on();
    }
    pass_on();
    for (int done = 0; done < waiting; done += kBlock)
      visit(Some{which.data() + done, moods.data() + done, std::min(kBlock, waiting - done), waiting - done});
  }

  void find_moods(const Some& rows, float* out) const {
    kernels_.cosine(query_.emotion.data(), emotion_square_, of(memories_.emotions, rows), out);
  }

  void offer(Combination combination, const Some& rows, Nearest& best) const {
    if (rows.count == 0) return;
    Block distances{};
    if (asks_semantic(combination)) kernels_.euclidean(query_.semantic.data(), of(memories_.semantics, rows), distances.data());
    float limit = best.limit();
    for (int i = 0; i < rows.count; ++i)
      if (const float d = combined(combination, distances[static_cast<std::size_t>(i)], rows.moods[i]); d <= limit) {
        best.offer(rows.which[i], d);
        limit = best.limit();
      }
  }

  // Returns the k-th lowest upper bound, and what may be below it.
  float bound_all(Combination combination, std::int64_t k, std::vector<Survivor>& survivors) const {
    const CodedQuery query(query_.semantic, memories_.codes.codes);
    Nearest best(k);  // by upper bound
    for_blocks(combination, best, [&](const Some& rows) {
      Block lowest, highest;
      kernels_.codes(query.view, of(memories_.codes.codes, rows), &memories_.codes.bounds->scale, lowest.data(), highest.data());
      for (int i = 0; i < rows.count; ++i) {
        float& lower = lowest[static_cast<std::size_t>(i)];
        lower = combined(combination, lower, rows.moods[i]);
      }
      float limit = best.limit();
      for (int i = 0; i < rows.count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (lowest[at] > limit) continue;
        survivors.push_back({rows.which[i], lowest[at], rows.moods[i]});
        best.offer(rows.which[i], combined(combination, highest[at], rows.moods[i]));
        limit = best.limit();
      }
    });
    return best.limit();
  }

  // Both parts are at least 0, and rounding keeps order: a bound of d_sem makes one of the whole. What is NaN lies at infinity.
  static float combined(Combination combination, float semantic, float emotional) {
    const float d = combination == Combination::kEmotional ? emotional
                    : combination == Combination::kSum     ? semantic + emotional
                    : combination == Combination::kProduct ? semantic * emotional
                                                           : semantic;
    return d == d ? d : kInfinity;
  }

  template <class T>
  static kernels::SomeRows<T> of(const Rows<T>& all, const Some& rows) {
    return {all.data, all.step, all.width, rows.which, rows.count, rows.known};
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
