#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "affectrt/ops/ops.h"
#include "affectrt/ops/skip_crf_cpu.h"

namespace affectrt {
namespace {

using kernels::CrfState;

void expect_size(const char* name, std::size_t got, std::size_t wanted) {
  if (got != wanted)
    throw std::invalid_argument(std::string("skip_crf: expected ") + std::to_string(wanted) + " values as " + name + ", got " +
                                std::to_string(got));
}

void expect_logs(const char* name, std::span<const float> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!(values[i] < std::numeric_limits<float>::infinity()))
      throw std::invalid_argument(std::string("skip_crf: expected finite numbers or -inf as ") + name + ", got " +
                                  std::to_string(values[i]) + " at " + std::to_string(i));
}

kernels::CrfWeights checked(const SkipCrf& crf) {
  if (crf.tags < 1 || crf.tags > kMaxCrfTags)
    throw std::invalid_argument("skip_crf: expected 1 to " + std::to_string(kMaxCrfTags) + " tags, got " + std::to_string(crf.tags));
  const auto tags = static_cast<std::size_t>(crf.tags);
  expect_size("start", crf.start.size(), tags);
  expect_size("end", crf.end.size(), tags);
  expect_size("self_transitions", crf.self.size(), tags * tags);
  expect_size("other_transitions", crf.other.size(), tags * tags);
  expect_logs("start", crf.start);
  expect_logs("end", crf.end);
  expect_logs("self_transitions", crf.self);
  expect_logs("other_transitions", crf.other);
  return {tags, crf.start.data(), crf.end.data(), crf.self.data(), crf.other.data()};
}

// One dialogue of a batch.
struct Dialogue {
  std::size_t length;
  const float* emissions;
  const std::int64_t* speakers;
};

std::vector<Dialogue> checked(const SkipCrfBatch& given, std::size_t tags) {
  if (given.batch < 0 || given.utterances < 0) throw std::invalid_argument("skip_crf: expected sizes of at least 0");
  const auto batch = static_cast<std::size_t>(given.batch), utterances = static_cast<std::size_t>(given.utterances);
  expect_size("emissions", given.emissions.size(), batch * utterances * tags);
  expect_size("speakers", given.speakers.size(), batch * utterances);
  if (!given.lengths.empty()) expect_size("lengths", given.lengths.size(), batch);
  std::vector<Dialogue> dialogues(batch);
  for (std::size_t i = 0; i < batch; ++i) {
    const std::int32_t length = given.lengths.empty() ? given.utterances : given.lengths[i];
    if (length < 0 || length > given.utterances)
      throw std::invalid_argument("skip_crf: expected lengths of 0 to " + std::to_string(given.utterances) + ", got " +
                                  std::to_string(length) + " for dialogue " + std::to_string(i));
    dialogues[i] = {static_cast<std::size_t>(length), given.emissions.data() + i * utterances * tags,
                    given.speakers.data() + i * utterances};
    for (std::size_t k = 0; k < dialogues[i].length * tags; ++k)
      if (!(dialogues[i].emissions[k] < std::numeric_limits<float>::infinity()))
        throw std::invalid_argument("skip_crf: expected finite numbers or -inf as emissions, got " +
                                    std::to_string(dialogues[i].emissions[k]) + " in dialogue " + std::to_string(i) + ", utterance " +
                                    std::to_string(k / tags) + ", tag " + std::to_string(k % tags));
  }
  return dialogues;
}

}  // namespace

void skip_crf_decode(const SkipCrf& crf, const SkipCrfBatch& batch, std::span<std::int32_t> tags, std::span<double> scores) {
  const kernels::CrfWeights weights = checked(crf);
  const std::vector<Dialogue> dialogues = checked(batch, weights.tags);
  expect_size("tags", tags.size(), batch.speakers.size());
  expect_size("scores", scores.size(), dialogues.size());
  std::fill(tags.begin(), tags.end(), -1);
  for (std::size_t i = 0; i < dialogues.size(); ++i) {
    const Dialogue& dialogue = dialogues[i];
    scores[i] = 0;
    if (dialogue.length == 0) continue;
    kernels::CrfViterbi viterbi(weights);
    kernels::CrfTurns turns;
    for (std::size_t t = 0; t < dialogue.length; ++t) viterbi.push(dialogue.emissions + t * weights.tags, turns.next(dialogue.speakers[t]));
    CrfState state = viterbi.best(scores[i]);
    std::int32_t* out = tags.data() + i * static_cast<std::size_t>(batch.utterances);
    for (std::size_t t = dialogue.length; t-- > 0;) {
      out[t] = state.tag;
      if (t > 0) state = viterbi.before(t, state);
    }
  }
}

void skip_crf_marginals(const SkipCrf& crf, const SkipCrfBatch& batch, std::span<float> probs, std::span<double> log_partition) {
  const kernels::CrfWeights weights = checked(crf);
  const std::vector<Dialogue> dialogues = checked(batch, weights.tags);
  expect_size("probs", probs.size(), batch.emissions.size());
  expect_size("log_partition", log_partition.size(), dialogues.size());
  std::fill(probs.begin(), probs.end(), 0.0f);
  const std::size_t tags = weights.tags;
  for (std::size_t i = 0; i < dialogues.size(); ++i) {
    const auto [length, emissions, speakers] = dialogues[i];
    log_partition[i] = 0;
    if (length == 0) continue;
    kernels::CrfTurns next_turn;
    std::vector<kernels::CrfTurn> turns(length);
    std::vector<kernels::CrfTable> forward(length);
    kernels::CrfTable table, scratch;
    for (std::size_t t = 0; t < length; ++t) {
      turns[t] = next_turn.next(speakers[t]);
      kernels::crf_forward(weights, emissions + t * tags, turns[t], table, scratch);
      forward[t] = table;
    }
    for (std::size_t r = 0; r < table.rows; ++r)
      std::copy(weights.end.begin(), weights.end.end(), table.values.begin() + static_cast<std::ptrdiff_t>(r * tags));
    float* out = probs.data() + i * static_cast<std::size_t>(batch.utterances) * tags;
    for (std::size_t t = length; t-- > 0;) {
      const double total = kernels::crf_marginal(weights, forward[t], &table, out + t * tags);
      if (t == length - 1) log_partition[i] = total;
      if (t > 0) kernels::crf_backward(weights, emissions + t * tags, turns[t], forward[t - 1].rows, table, scratch);
      forward[t] = {};
    }
  }
}

struct SkipCrfStream::State {
  kernels::CrfWeights weights;
  std::size_t history;
  kernels::CrfTurns turns;
  kernels::CrfViterbi viterbi;
  kernels::CrfTable forward, scratch;
  std::deque<CrfState> path;
  std::vector<float> probs;
  std::int64_t size = 0;
  double score = 0;

  State(const SkipCrf& crf, std::size_t keep)
      : weights(checked(crf)), history(keep), viterbi(weights), probs(static_cast<std::size_t>(crf.tags)) {}
};

SkipCrfStream::SkipCrfStream(const SkipCrf& crf, std::size_t history) {
  if (history < 1) throw std::invalid_argument("skip_crf: expected a history of at least 1, got 0");
  state_ = std::make_unique<State>(crf, history);
}

SkipCrfStream::~SkipCrfStream() = default;
SkipCrfStream::SkipCrfStream(SkipCrfStream&&) noexcept = default;
SkipCrfStream& SkipCrfStream::operator=(SkipCrfStream&&) noexcept = default;

std::vector<std::int64_t> SkipCrfStream::push(std::span<const float> emissions, std::int64_t speaker) {
  State& s = *state_;
  expect_size("emissions", emissions.size(), s.weights.tags);
  expect_logs("emissions", emissions);
  const kernels::CrfTurn turn = s.turns.next(speaker);
  s.viterbi.push(emissions.data(), turn);
  kernels::crf_forward(s.weights, emissions.data(), turn, s.forward, s.scratch);
  kernels::crf_marginal(s.weights, s.forward, nullptr, s.probs.data());
  ++s.size;
  if (s.viterbi.kept() > s.history) {
    s.viterbi.drop_oldest();
    s.path.pop_front();
  }

  CrfState state = s.viterbi.best(s.score);
  s.path.push_back(state);
  const std::int64_t first = s.size - static_cast<std::int64_t>(s.path.size());
  std::vector<std::int64_t> revised;
  for (std::size_t t = s.path.size() - 1; t-- > 0;) {
    state = s.viterbi.before(t + 1, state);
    if (s.path[t] == state) break;  // from here on back the way is the old one
    if (s.path[t].tag != state.tag) revised.push_back(first + static_cast<std::int64_t>(t));
    s.path[t] = state;
  }
  return {revised.rbegin(), revised.rend()};
}

std::int64_t SkipCrfStream::size() const { return state_->size; }

std::vector<std::int32_t> SkipCrfStream::tags() const {
  std::vector<std::int32_t> tags;
  for (const CrfState state : state_->path) tags.push_back(state.tag);
  return tags;
}

double SkipCrfStream::score() const { return state_->score; }

std::span<const float> SkipCrfStream::probs() const { return state_->probs; }

}  // namespace affectrt
