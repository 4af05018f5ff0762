#include "affectrt/ops/skip_crf_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace affectrt::kernels {
namespace {

constexpr double kForbidden = -std::numeric_limits<double>::infinity();
// A sum of powers below this may have lost what underflowed beside it; above it, what is lost is under one part in 1e50.
constexpr double kLeastSum = 1e-250;

// best[c] = max over r of from[r * step] + matrix[r][c], and in `which` the r; of equal ones the lowest.
void max_step(const double* from, std::size_t step, std::size_t rows, const double* matrix, std::size_t tags, double* best,
              std::int64_t* which) {
  std::fill(best, best + tags, kForbidden);
  std::fill(which, which + tags, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    const double value = from[r * step];
    const double* row = matrix + r * tags;
    const auto here = static_cast<std::int64_t>(r);
    for (std::size_t c = 0; c < tags; ++c) {
      const double sum = value + row[c];
      which[c] = sum > best[c] ? here : which[c];
      best[c] = sum > best[c] ? sum : best[c];
    }
  }
}

// out[c] = log of the sum over r of exp(from[r * step] + matrix[r][c]).
void log_sum_step(const double* from, std::size_t step, std::size_t rows, const CrfMatrix& matrix, double* out) {
  const std::size_t tags = matrix.tags;
  double top = kForbidden;
  for (std::size_t r = 0; r < rows; ++r) top = std::max(top, from[r * step]);
  if (top == kForbidden) {
    std::fill(out, out + tags, kForbidden);
    return;
  }
  std::fill(out, out + tags, 0.0);
  for (std::size_t r = 0; r < rows; ++r) {
    const double power = std::exp(from[r * step] - top);
    const double* row = matrix.powers.data() + r * tags;
    for (std::size_t c = 0; c < tags; ++c) out[c] += power * row[c];
  }
  for (std::size_t c = 0; c < tags; ++c) {
    if (out[c] >= kLeastSum) {
      out[c] = top + matrix.top + std::log(out[c]);
      continue;
    }
    double greatest = kForbidden, sum = 0;
    for (std::size_t r = 0; r < rows; ++r) greatest = std::max(greatest, from[r * step] + matrix.logs[r * tags + c]);
    if (greatest != kForbidden)
      for (std::size_t r = 0; r < rows; ++r) sum += std::exp(from[r * step] + matrix.logs[r * tags + c] - greatest);
    out[c] = greatest == kForbidden ? kForbidden : greatest + std::log(sum);
  }
}

double log_sum(const double* values, std::size_t step, std::size_t count) {
  double top = kForbidden, sum = 0;
  for (std::size_t i = 0; i < count; ++i) top = std::max(top, values[i * step]);
  if (top == kForbidden) return kForbidden;
  for (std::size_t i = 0; i < count; ++i) sum += std::exp(values[i * step] - top);
  return top + std::log(sum);
}

void begin(const CrfWeights& weights, const float* emissions, CrfTable& table) {
  table.rows = 1;
  table.values.resize(weights.tags);
  for (std::size_t c = 0; c < weights.tags; ++c) table.values[c] = weights.start[c] + emissions[c];
}

}  // namespace

CrfTurn CrfTurns::next(std::int64_t speaker) {
  if (runs_ > 0 && speaker == speaker_) return CrfTurn::kSame;
  const CrfTurn turn = runs_ == 0 ? CrfTurn::kFirst : runs_ > 1 && speaker == before_ ? CrfTurn::kReturn : CrfTurn::kSwitch;
  before_ = speaker_;
  speaker_ = speaker;
  runs_ = std::min(runs_ + 1, 2);
  return turn;
}

CrfMatrix::CrfMatrix(const float* values, std::size_t count, bool transposed) : tags(count), logs(count * count), powers(count * count) {
  for (std::size_t r = 0; r < tags; ++r)
    for (std::size_t c = 0; c < tags; ++c) logs[r * tags + c] = values[transposed ? c * tags + r : r * tags + c];
  const double greatest = *std::max_element(logs.begin(), logs.end());
  top = greatest == kForbidden ? 0 : greatest;
  std::transform(logs.begin(), logs.end(), powers.begin(), [this](double log) { return std::exp(log - top); });
}

CrfWeights::CrfWeights(std::size_t count, const float* start_, const float* end_, const float* self_, const float* other_)
    : tags(count),
      start(start_, start_ + count),
      end(end_, end_ + count),
      self(self_, count),
      other(other_, count),
      self_transposed(self_, count, true) {}

void CrfViterbi::push(const float* emissions, CrfTurn turn) {
  const std::size_t tags = weights_->tags;
  Link& link = links_.emplace_back(Link{turn, {}});
  if (turn == CrfTurn::kFirst) return begin(*weights_, emissions, table_);

  const std::size_t rows = turn == CrfTurn::kSame ? table_.rows : tags;
  scratch_.rows = rows;
  scratch_.values.resize(rows * tags);
  link.from.resize(turn == CrfTurn::kSwitch ? tags : rows * tags);
  std::vector<std::int64_t> which(tags);
  for (std::size_t row = 0; row < rows; ++row) {
    double* out = scratch_.values.data() + row * tags;
    const double* other = weights_->other.logs.data() + row * tags;
    if (turn == CrfTurn::kSwitch) {
      const double* column = table_.values.data() + row;
      std::size_t best = 0;
      for (std::size_t r = 1; r < table_.rows; ++r)
        if (column[r * tags] > column[best * tags]) best = r;
      link.from[row] = static_cast<std::uint8_t>(best);
      for (std::size_t c = 0; c < tags; ++c) out[c] = column[best * tags] + other[c] + emissions[c];
      continue;
    }
    if (turn == CrfTurn::kSame) {
      max_step(table_.values.data() + row * tags, 1, tags, weights_->self.logs.data(), tags, out, which.data());
    } else {
      max_step(table_.values.data() + row, tags, table_.rows, weights_->self.logs.data(), tags, out, which.data());
      for (std::size_t c = 0; c < tags; ++c) out[c] += other[c];
    }
    for (std::size_t c = 0; c < tags; ++c) out[c] += emissions[c];
    std::transform(which.begin(), which.end(), link.from.begin() + static_cast<std::ptrdiff_t>(row * tags),
                   [](std::int64_t r) { return static_cast<std::uint8_t>(r); });
  }
  std::swap(table_, scratch_);
}

CrfState CrfViterbi::best(double& score) const {
  const std::size_t tags = weights_->tags;
  CrfState state;
  score = kForbidden;
  for (std::size_t c = 0; c < tags; ++c)
    for (std::size_t r = 0; r < table_.rows; ++r) {
      const double sum = table_.values[r * tags + c] + weights_->end[c];
      if (sum > score) {
        score = sum;
        state = {static_cast<std::uint8_t>(r), static_cast<std::int16_t>(c)};
      }
    }
  return state;
}

CrfState CrfViterbi::before(std::size_t index, CrfState state) const {
  if (state.tag < 0) return state;
  const Link& link = links_[index];
  const std::size_t at = state.before * weights_->tags + static_cast<std::size_t>(state.tag);
  switch (link.turn) {
    case CrfTurn::kSame:
      return {state.before, link.from[at]};
    case CrfTurn::kReturn:
      return {link.from[at], state.before};
    case CrfTurn::kSwitch:
      return {link.from[state.before], state.before};
    case CrfTurn::kFirst:
      break;
  }
  return {};
}

void crf_forward(const CrfWeights& weights, const float* emissions, CrfTurn turn, CrfTable& table, CrfTable& scratch) {
  const std::size_t tags = weights.tags;
  if (turn == CrfTurn::kFirst) return begin(weights, emissions, table);
  scratch.rows = turn == CrfTurn::kSame ? table.rows : tags;
  scratch.values.resize(scratch.rows * tags);
  for (std::size_t row = 0; row < scratch.rows; ++row) {
    double* out = scratch.values.data() + row * tags;
    const double* other = weights.other.logs.data() + row * tags;
    if (turn == CrfTurn::kSame)
      log_sum_step(table.values.data() + row * tags, 1, tags, weights.self, out);
    else if (turn == CrfTurn::kReturn)
      log_sum_step(table.values.data() + row, tags, table.rows, weights.self, out);
    else
      std::fill(out, out + tags, log_sum(table.values.data() + row, tags, table.rows));
    for (std::size_t c = 0; c < tags; ++c) out[c] += (turn == CrfTurn::kSame ? 0.0 : other[c]) + emissions[c];
  }
  std::swap(table, scratch);
}

void crf_backward(const CrfWeights& weights, const float* emissions, CrfTurn turn, std::size_t rows, CrfTable& table, CrfTable& scratch) {
  const std::size_t tags = weights.tags;
  std::vector<double> after(tags), sums(tags);
  scratch.rows = rows;
  scratch.values.resize(rows * tags);
  // A row of the table is the run before the utterance: what was the newest tag, where a run has just begun.
  for (std::size_t row = 0; row < table.rows; ++row) {
    const double* other = weights.other.logs.data() + row * tags;
    for (std::size_t c = 0; c < tags; ++c)
      after[c] = table.values[row * tags + c] + emissions[c] + (turn == CrfTurn::kSame ? 0.0 : other[c]);
    if (turn == CrfTurn::kSame) {
      log_sum_step(after.data(), 1, tags, weights.self_transposed, scratch.values.data() + row * tags);
    } else if (turn == CrfTurn::kReturn) {
      log_sum_step(after.data(), 1, tags, weights.self_transposed, sums.data());
      for (std::size_t r = 0; r < rows; ++r) scratch.values[r * tags + row] = sums[r];
    } else {
      const double sum = log_sum(after.data(), 1, tags);
      for (std::size_t r = 0; r < rows; ++r) scratch.values[r * tags + row] = sum;
    }
  }
  std::swap(table, scratch);
}

double crf_marginal(const CrfWeights& weights, const CrfTable& forward, const CrfTable* backward, float* probs) {
  const std::size_t tags = weights.tags;
  std::vector<double> sums(tags), column(forward.rows);
  for (std::size_t c = 0; c < tags; ++c) {
    for (std::size_t r = 0; r < forward.rows; ++r)
      column[r] = forward.values[r * tags + c] + (backward ? backward->values[r * tags + c] : weights.end[c]);
    sums[c] = log_sum(column.data(), 1, forward.rows);
  }
  const double total = log_sum(sums.data(), 1, tags);
  for (std::size_t c = 0; c < tags; ++c) probs[c] = total == kForbidden ? 0.0f : static_cast<float>(std::exp(sums[c] - total));
  return total;
}

}  // namespace affectrt::kernels
